"""The endpoints of accounts."""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from drf_spectacular.utils import extend_schema
from ntc_core.auth.models import AuthSession
from ntc_core.idempotency.views import IdempotencyMixin
from ntc_core.response_wrapper import success_response
from ntc_core.throttling import ScopedRateThrottle
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from . import services
from .models import User
from .serializers import (
    MeInput,
    PasswordChangeInput,
    PasswordResetConfirmInput,
    PasswordResetInput,
    PasswordResetOutput,
    RegisterInput,
    RegistrationOutput,
    ResendInput,
    UserOutput,
    VerifyRegistrationInput,
)

__all__ = [
    "MeView",
    "PasswordChangeView",
    "PasswordResetConfirmView",
    "PasswordResetView",
    "RegisterView",
    "ResendView",
    "VerifyView",
]

# One sentence for everybody, so that it tells nobody who has an account.
CODE_SENT = "If the address can be used, a message is on its way."


class PublicView(APIView):
    """Open to everybody, deaf to the Authorization header: it may hold an expired token."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ScopedRateThrottle,)


class RegisterView(IdempotencyMixin, PublicView):
    throttle_scope = "register"  # per phone: codes, a part of them for each network

    @extend_schema(request=RegisterInput, responses={202: RegistrationOutput}, tags=["accounts"])
    def post(self, request: Request) -> Response:
        """Sign up. A code goes to the phone, or else to the email address.

        The account exists once the code has come back to `accounts/verify/`.
        """
        form = RegisterInput(data=request.data)
        form.is_valid(raise_exception=True)
        _, challenge = services.register(**form.validated_data)
        return success_response(
            RegistrationOutput(challenge).data, CODE_SENT, status=HTTPStatus.ACCEPTED
        )


class ResendView(PublicView):
    throttle_scope = "register"
    throttle_fields = ("registration",)

    @extend_schema(request=ResendInput, responses={202: RegistrationOutput}, tags=["accounts"])
    def post(self, request: Request) -> Response:
        """Send a new code for a registration; the one before stops working."""
        form = ResendInput(data=request.data)
        form.is_valid(raise_exception=True)
        _, challenge = services.resend_code(registration_uid=form.validated_data["registration"])
        return success_response(
            RegistrationOutput(challenge).data, CODE_SENT, status=HTTPStatus.ACCEPTED
        )


class VerifyView(PublicView):
    throttle_scope = "verify"
    throttle_fields = ("registration",)

    @extend_schema(request=VerifyRegistrationInput, responses={201: UserOutput}, tags=["accounts"])
    def post(self, request: Request) -> Response:
        """Finish signing up with the code. Then sign in at `auth/login/`."""
        form = VerifyRegistrationInput(data=request.data)
        form.is_valid(raise_exception=True)
        user = services.verify_registration(
            registration_uid=form.validated_data["registration"], code=form.validated_data["code"]
        )
        return success_response(
            UserOutput(user).data, "The account is ready. Sign in.", status=HTTPStatus.CREATED
        )


class MeView(APIView):
    permission_classes = (IsAuthenticated,)

    @extend_schema(responses=UserOutput, tags=["accounts"])
    def get(self, request: Request) -> Response:
        """Show the signed-in user."""
        return success_response(UserOutput(cast("User", request.user)).data)

    @extend_schema(request=MeInput, responses=UserOutput, tags=["accounts"])
    def patch(self, request: Request) -> Response:
        """Change the name, the language or the picture of the signed-in user."""
        form = MeInput(data=request.data)
        form.is_valid(raise_exception=True)
        user = services.update_user(cast("User", request.user), **form.validated_data)
        return success_response(UserOutput(user).data, "Saved.")


class PasswordChangeView(APIView):
    permission_classes = (IsAuthenticated,)
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "password_change"

    @extend_schema(request=PasswordChangeInput, responses={200: None}, tags=["accounts"])
    def post(self, request: Request) -> Response:
        """Change the password; every other session of the user ends."""
        form = PasswordChangeInput(data=request.data, context={"request": request})
        form.is_valid(raise_exception=True)
        session = request.auth if isinstance(request.auth, AuthSession) else None
        services.change_password(
            user=cast("User", request.user), session=session, **form.validated_data
        )
        return success_response(message="The password is changed.")


class PasswordResetView(PublicView):
    throttle_scope = "reset"  # per account: codes, a part of them for each network

    @extend_schema(
        request=PasswordResetInput, responses={202: PasswordResetOutput}, tags=["accounts"]
    )
    def post(self, request: Request) -> Response:
        """Send a code to a proven phone or email address of an account, if there is one.

        Keep `reset`: the code counts with it only. To ask again makes another one.
        """
        form = PasswordResetInput(data=request.data)
        form.is_valid(raise_exception=True)
        challenge = services.request_password_reset(**form.validated_data["identifier"])
        return success_response(
            PasswordResetOutput(challenge).data, CODE_SENT, status=HTTPStatus.ACCEPTED
        )


class PasswordResetConfirmView(PublicView):
    throttle_scope = "verify"
    throttle_fields = ("reset",)

    @extend_schema(request=PasswordResetConfirmInput, responses={200: None}, tags=["accounts"])
    def post(self, request: Request) -> Response:
        """Set a new password with the code; every session of the user ends."""
        form = PasswordResetConfirmInput(data=request.data)
        form.is_valid(raise_exception=True)
        services.confirm_password_reset(
            reset_uid=form.validated_data["reset"],
            code=form.validated_data["code"],
            new_password=form.validated_data["new_password"],
        )
        return success_response(message="The password is changed. Sign in.")
