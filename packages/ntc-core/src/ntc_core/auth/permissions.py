"""Permissions that look at the session, not at the user."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone
from rest_framework.permissions import IsAuthenticated

from ntc_core.auth.conf import auth_settings
from ntc_core.auth.errors import SignInTooOld
from ntc_core.auth.models import AuthSession

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

__all__ = ["RecentSignIn"]


class RecentSignIn(IsAuthenticated):
    """Sudo mode: only within NTC_RECENT_SIGN_IN_SECONDS of the sign-in, however often refreshed.

    For what a stolen session must not be able to do: another address, a second factor, a
    payout. The client answers `sign_in_too_old` with a new sign-in.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether anybody is signed in.

        Raises:
            SignInTooOld: somebody is, for too long.
        """
        if not super().has_permission(request, view):
            return False
        session = request.auth
        oldest = timezone.now() - timedelta(seconds=auth_settings.RECENT_SIGN_IN_SECONDS)
        if not isinstance(session, AuthSession) or session.authenticated_at < oldest:
            raise SignInTooOld
        return True
