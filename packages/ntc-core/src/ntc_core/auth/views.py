"""The sign-in endpoints."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ntc_core.auth import services
from ntc_core.auth.cookies import (
    access_cookie,
    csrf_cookie,
    has_header,
    refresh_cookie,
    set_csrf_cookie,
)
from ntc_core.auth.csrf import is_csrf_token, new_csrf_token, require_header, require_our_page
from ntc_core.auth.errors import CsrfFailed, TokenInvalid
from ntc_core.auth.models import AuthSession, EndReason
from ntc_core.auth.schema import BY_BODY_OR_COOKIE, BY_COOKIE, CSRF_HEADER
from ntc_core.auth.selectors import find_live_session, get_live_session, list_live_sessions
from ntc_core.auth.serializers import (
    CsrfOutput,
    LoginInput,
    RefreshInput,
    SessionOutput,
    SignedInOutput,
    TokensOutput,
    VerifyInput,
    VerifyOutput,
)
from ntc_core.auth.throttles import RefreshRateThrottle
from ntc_core.auth.tokens import Claims, read
from ntc_core.auth.transport import (
    Presented,
    answer_tokens,
    drop_cookies,
    find_presented,
    uses_cookies,
)
from ntc_core.errors import InvalidInput, NotAuthenticated, NotFound
from ntc_core.response_wrapper import success_response
from ntc_core.schema import documented_errors
from ntc_core.throttling import ScopedRateThrottle

__all__ = [
    "CsrfView",
    "LoginView",
    "LogoutAllView",
    "LogoutView",
    "RefreshView",
    "SessionListView",
    "SessionView",
    "VerifyView",
]


class PublicView(APIView):
    """Open to everybody, deaf to the Authorization header: it may hold an expired token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedRateThrottle,)


class LoginView(PublicView):
    throttle_scope = "login"

    @extend_schema(
        request=LoginInput, responses=SignedInOutput, parameters=[CSRF_HEADER], tags=["auth"]
    )
    @documented_errors(401, 403)
    def post(self, request: Request) -> Response:
        """Sign in with an email address or a phone, and a password.

        In cookie mode the tokens are in cookies only. A browser that is signed in already
        gets a new session, and the one before ends.
        """
        form = LoginInput(data=request.data)
        form.is_valid(raise_exception=True)
        in_cookies = form.validated_data["transport"] == "cookie"
        if in_cookies:
            require_our_page(request, strict=True)
            require_header(request)
        user = services.authenticate(
            identifier=form.validated_data["identifier"],
            password=form.validated_data["password"],
            request=request,
        )
        signed_in = services.sign_in(user=user, request=request)
        csrf_token = ""
        if in_cookies:
            csrf_token = new_csrf_token(signed_in.session.uid)
            # A call with the header is no browser's own; its cookies are not looked at.
            before = "" if has_header(request) else refresh_cookie(request)
            with contextlib.suppress(TokenInvalid):
                services.sign_out(refresh_token=before, reason=EndReason.REPLACED)
        return answer_tokens(
            signed_in, output=SignedInOutput, csrf_token=csrf_token, message="Signed in."
        )


# A stolen session stays ended though the answer is an error.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class RefreshView(PublicView):
    throttle_classes = (RefreshRateThrottle,)
    throttle_scope = "refresh"

    @extend_schema(
        request=RefreshInput, responses=TokensOutput, auth=BY_BODY_OR_COOKIE, tags=["auth"]
    )
    @documented_errors(401, 403)
    def post(self, request: Request) -> Response:
        """Exchange the refresh token for new tokens.

        It can be spent once. Sent twice within a few seconds it gives the same tokens again;
        later it ends the session, for it was copied.
        """
        presented = _require_presented(request)
        signed_in = services.refresh(refresh_token=presented.refresh)
        return answer_tokens(signed_in, output=TokensOutput, csrf_token=presented.csrf_token)


class LogoutView(PublicView):
    throttle_scope = "refresh"

    @extend_schema(
        request=RefreshInput, responses={200: None}, auth=BY_BODY_OR_COOKIE, tags=["auth"]
    )
    @documented_errors(401, 403)
    def post(self, request: Request) -> Response:
        """End the session of this refresh token; its access tokens stop working at once."""
        presented = _require_presented(request)
        services.sign_out(refresh_token=presented.refresh)
        response = success_response(message="Signed out.")
        # A token in the body says nothing about the session that the cookies are of.
        return drop_cookies(request, response) if presented.csrf_token else response


class LogoutAllView(APIView):
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "refresh"

    @extend_schema(request=RefreshInput, responses={200: None}, tags=["auth"])
    @documented_errors(401)
    def post(self, request: Request) -> Response:
        """End every session of the caller, who is known by the access or the refresh token."""
        form = RefreshInput(data=request.data)
        form.is_valid(raise_exception=True)
        user: Any = request.user
        in_body = form.validated_data.get("refresh")
        if in_body is not None or not user.is_authenticated:
            presented = find_presented(request, in_body=in_body)
            if presented is None:
                raise NotAuthenticated
            user = services.get_owner(refresh_token=presented.refresh)
        services.sign_out_everywhere(user=user)
        response = success_response(message="Signed out everywhere.")
        return drop_cookies(request, response) if in_body is None else response


class VerifyView(PublicView):
    throttle_scope = "refresh"

    @extend_schema(
        request=VerifyInput, responses=VerifyOutput, auth=BY_BODY_OR_COOKIE, tags=["auth"]
    )
    @documented_errors(401, 403)
    def post(self, request: Request) -> Response:
        """Tell whether the session of a token goes on; a refresh token is not spent by it.

        Whether it was spent before is not told: that is found out by refreshing.
        """
        form = VerifyInput(data=request.data)
        form.is_valid(raise_exception=True)
        if "token" in form.validated_data:
            claims, _ = services.verify_token(form.validated_data["token"])
        else:
            presented = find_presented(request, in_body=form.validated_data.get("refresh"))
            if presented is None:
                raise InvalidInput("Give either token or refresh.", attr="token")
            claims, _ = services.verify_token(presented.refresh, token_types=("refresh",))
        return success_response(VerifyOutput(claims).data, "The token is valid.")


class CsrfView(PublicView):
    throttle_scope = "refresh"

    @extend_schema(responses=CsrfOutput, auth=BY_COOKIE, tags=["auth"])
    @documented_errors(401, 403)
    def get(self, request: Request) -> Response:
        """Return the CSRF token of a browser that is signed in, for a page that was reloaded.

        Another origin that may read our answers (CORS) cannot read our cookies. The access cookie
        gets a new token; the refresh cookie alone gets the one that the browser has.
        """
        if not uses_cookies(request):
            raise NotAuthenticated
        require_our_page(request, strict=False)
        session, token = _session_and_token(request)
        response = success_response(CsrfOutput({"csrf_token": token}).data)
        response.headers["Cache-Control"] = "no-store"
        set_csrf_cookie(response, token, expires_at=session.expires_at)
        return response


class SessionListView(ListAPIView[AuthSession]):
    serializer_class = SessionOutput

    @extend_schema(tags=["auth"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the signed-in devices of the caller, the one that was used last first."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[AuthSession]:
        if getattr(self, "swagger_fake_view", False):
            return AuthSession.objects.none()
        return list_live_sessions(user=self.request.user)


class SessionView(APIView):
    @extend_schema(responses={204: None}, tags=["auth"])
    def delete(self, request: Request, uid: UUID) -> Response:
        """End one of the caller's sessions; its tokens stop working at once."""
        session = find_live_session(user=request.user, uid=uid)
        if session is None:
            raise NotFound("There is no such session.")
        services.end_session(session, reason=EndReason.DEVICE)
        response = Response(status=HTTPStatus.NO_CONTENT)
        return drop_cookies(request, response) if session == request.auth else response


def _require_presented(request: Request) -> Presented:
    form = RefreshInput(data=request.data)
    form.is_valid(raise_exception=True)
    presented = find_presented(request, in_body=form.validated_data.get("refresh"))
    if presented is None:
        raise InvalidInput("This field is required.", code="required", attr="refresh")
    return presented


def _session_and_token(request: Request) -> tuple[AuthSession, str]:
    """Return the session that the cookies name, and its CSRF token.

    A sub-domain can plant a refresh cookie. A new token for its session would be the proof,
    missing so far, that the browser was signed in there.

    Raises:
        CsrfFailed: the two cookies name different sessions.
        NotAuthenticated: there is only a refresh cookie, and no CSRF cookie of its session.
        TokenInvalid: neither cookie names a session that goes on.
    """
    by_access = _find_claims(access_cookie(request), token_type="access")  # noqa: S106 - a type, not a secret
    by_refresh = _find_claims(refresh_cookie(request), token_type="refresh")  # noqa: S106 - likewise
    claims = by_access or by_refresh
    if claims is None:
        raise TokenInvalid
    if by_refresh is not None and by_refresh.session_uid != claims.session_uid:
        raise CsrfFailed("The cookies are of two sessions. Sign in again.")
    session = get_live_session(claims=claims)
    token = csrf_cookie(request)
    if is_csrf_token(token, session_uid=session.uid):
        return session, token
    if by_access is None:
        raise NotAuthenticated
    return session, new_csrf_token(session.uid)


def _find_claims(token: str, *, token_type: str) -> Claims | None:
    with contextlib.suppress(TokenInvalid):
        return read(token, token_type=token_type)
    return None
