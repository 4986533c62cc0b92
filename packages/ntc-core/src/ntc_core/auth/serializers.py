"""What the sign-in endpoints take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.utils.module_loading import import_string
from rest_framework import serializers

from ntc_core.auth.conf import auth_settings
from ntc_core.auth.devices import device_label
from ntc_core.auth.models import AuthSession
from ntc_core.fields import TextField
from ntc_core.serializers import StrictSerializer

__all__ = [
    "CsrfOutput",
    "LoginInput",
    "RefreshInput",
    "SessionOutput",
    "SignedInOutput",
    "TokensOutput",
    "UserOutput",
    "VerifyInput",
    "VerifyOutput",
]

# Hashing time grows with the length, so it needs an end; no honest password is longer.
LONGEST_PASSWORD = 256
LONGEST_TOKEN = 2500


class UserOutput(serializers.Serializer[Any]):
    """The least any user model has. A project names its own in NTC_USER_SERIALIZER."""

    identifier = serializers.CharField(source="get_username", read_only=True)


class LoginInput(StrictSerializer):
    """An email address or a phone in any spelling, and the password."""

    identifier = TextField(max_length=254)
    password = TextField(max_length=LONGEST_PASSWORD, trim_whitespace=False)
    transport = serializers.ChoiceField(
        choices=["token", "cookie"],
        default="token",
        help_text="Where the tokens travel: in the body (apps), or in cookies (browsers).",
    )


class RefreshInput(StrictSerializer):
    """The refresh token of the session. In cookie mode the body is empty."""

    refresh = TextField(max_length=LONGEST_TOKEN, required=False)


class TokensOutput(serializers.Serializer[Any]):
    """Both tokens of a session, or in cookie mode only how long they last."""

    access = serializers.CharField(required=False, help_text="Not in cookie mode.")
    refresh = serializers.CharField(required=False, help_text="Not in cookie mode.")
    access_expires_at = serializers.DateTimeField()
    refresh_expires_at = serializers.DateTimeField()
    csrf_token = serializers.CharField(
        required=False, help_text="Cookie mode only: send it as X-CSRF-Token."
    )


class SignedInOutput(TokensOutput):
    """The tokens, and who is signed in."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        serializer_class = cast(
            "type[serializers.Serializer[Any]]", import_string(auth_settings.USER_SERIALIZER)
        )
        return {"user": serializer_class(source="session.user"), **super().get_fields()}


class CsrfOutput(serializers.Serializer[Any]):
    """What to send as X-CSRF-Token."""

    csrf_token = serializers.CharField()


class SessionOutput(serializers.ModelSerializer[AuthSession]):
    """A signed-in device."""

    label = serializers.SerializerMethodField(  # type: ignore[assignment]  # not DRF's own label
        help_text="Such as Chrome on Android; may be empty."
    )
    current = serializers.SerializerMethodField(help_text="The one that is asking.")
    last_used_at = serializers.SerializerMethodField(
        help_text="To the hour: exactly when the owner last refreshed is a thief's question."
    )

    class Meta:
        model = AuthSession
        fields = (
            "uid",
            "label",
            "ip_prefix",
            "created_at",
            "last_used_at",
            "expires_at",
            "current",
        )
        read_only_fields = fields

    def get_label(self, session: AuthSession) -> str:
        return device_label(session.user_agent)

    def get_last_used_at(self, session: AuthSession) -> datetime:
        return session.last_used_at.replace(minute=0, second=0, microsecond=0)

    def get_current(self, session: AuthSession) -> bool:
        return bool(session == self.context["request"].auth)


class VerifyInput(StrictSerializer):
    """The token to ask about: either kind as `token`, or a refresh token as `refresh`."""

    json_schema = {"not": {"required": ["token", "refresh"]}}

    token = TextField(max_length=LONGEST_TOKEN, required=False)
    refresh = TextField(max_length=LONGEST_TOKEN, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) > 1:
            raise serializers.ValidationError({"token": "Give either token or refresh."})
        return attrs


class VerifyOutput(serializers.Serializer[Any]):
    """What an accepted token is."""

    token_type = serializers.ChoiceField(choices=["access", "refresh"])
    session = serializers.UUIDField(source="session_uid")
    expires_at = serializers.DateTimeField()
