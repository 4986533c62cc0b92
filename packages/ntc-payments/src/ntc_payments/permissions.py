"""Who may see more than their own payments."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

__all__ = ["CanReadTimeline"]


class CanReadTimeline(BasePermission):
    """Staff with the permission `ntc_payments.view_paymentevent`."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's signature
        """Tell whether the caller is such a person."""
        user = request.user
        return bool(user and user.is_staff and user.has_perm("ntc_payments.view_paymentevent"))
