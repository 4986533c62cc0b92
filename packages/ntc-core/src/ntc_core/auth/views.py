"""The sign-in endpoints."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ntc_core.auth import services
from ntc_core.auth.serializers import (
    LoginInput,
    OptionalRefreshInput,
    RefreshInput,
    SignedInOutput,
    TokenPairOutput,
    VerifyInput,
    VerifyOutput,
)
from ntc_core.auth.throttles import RefreshRateThrottle
from ntc_core.errors import NotAuthenticated
from ntc_core.response_wrapper import success_response
from ntc_core.schema import documented_errors
from ntc_core.throttling import ScopedRateThrottle

__all__ = ["LoginView", "LogoutAllView", "LogoutView", "RefreshView", "VerifyView"]


class PublicView(APIView):
    """Open to everybody, deaf to the Authorization header: it may hold an expired token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedRateThrottle,)


class LoginView(PublicView):
    throttle_scope = "login"

    @extend_schema(request=LoginInput, responses=SignedInOutput, tags=["auth"])
    @documented_errors(401)
    def post(self, request: Request) -> Response:
        """Sign in with an email address or a phone, and a password."""
        form = LoginInput(data=request.data)
        form.is_valid(raise_exception=True)
        user = services.authenticate(
            identifier=form.validated_data["identifier"],
            password=form.validated_data["password"],
            request=request,
        )
        signed_in = services.sign_in(user=user, request=request)
        return success_response(SignedInOutput(signed_in).data, "Signed in.")


class RefreshView(PublicView):
    throttle_classes = (RefreshRateThrottle,)
    throttle_scope = "refresh"

    @extend_schema(request=RefreshInput, responses=TokenPairOutput, tags=["auth"])
    @documented_errors(401)
    def post(self, request: Request) -> Response:
        """Exchange the refresh token for new tokens. It can be spent once."""
        form = RefreshInput(data=request.data)
        form.is_valid(raise_exception=True)
        signed_in = services.refresh(refresh_token=form.validated_data["refresh"])
        return success_response(TokenPairOutput(signed_in).data)


class LogoutView(PublicView):
    throttle_scope = "refresh"

    @extend_schema(request=RefreshInput, responses={200: None}, tags=["auth"])
    @documented_errors(401)
    def post(self, request: Request) -> Response:
        """End the session of this refresh token; its access tokens stop working at once."""
        form = RefreshInput(data=request.data)
        form.is_valid(raise_exception=True)
        services.sign_out(refresh_token=form.validated_data["refresh"])
        return success_response(message="Signed out.")


class LogoutAllView(APIView):
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "refresh"

    @extend_schema(request=OptionalRefreshInput, responses={200: None}, tags=["auth"])
    @documented_errors(401)
    def post(self, request: Request) -> Response:
        """End every session of the caller, who is known by the access or the refresh token."""
        form = OptionalRefreshInput(data=request.data)
        form.is_valid(raise_exception=True)
        user = request.user
        if "refresh" in form.validated_data:
            _, session = services.verify_token(
                form.validated_data["refresh"], token_types=("refresh",)
            )
            user = session.user
        if not user.is_authenticated:
            raise NotAuthenticated
        services.sign_out_everywhere(user=user)
        return success_response(message="Signed out everywhere.")


class VerifyView(PublicView):
    throttle_scope = "refresh"

    @extend_schema(request=VerifyInput, responses=VerifyOutput, tags=["auth"])
    @documented_errors(401)
    def post(self, request: Request) -> Response:
        """Tell whether a token would be accepted now; a refresh token is not spent by it."""
        form = VerifyInput(data=request.data)
        form.is_valid(raise_exception=True)
        if "token" in form.validated_data:
            claims, _ = services.verify_token(form.validated_data["token"])
        else:
            claims, _ = services.verify_token(
                form.validated_data["refresh"], token_types=("refresh",)
            )
        return success_response(VerifyOutput(claims).data, "The token is valid.")
