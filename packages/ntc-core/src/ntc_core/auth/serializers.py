"""What the sign-in endpoints take and give."""

from __future__ import annotations

from typing import Any, cast

from django.utils.module_loading import import_string
from rest_framework import serializers

from ntc_core.auth.conf import auth_settings
from ntc_core.fields import TextField

__all__ = [
    "LoginInput",
    "OptionalRefreshInput",
    "RefreshInput",
    "SignedInOutput",
    "TokenPairOutput",
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


class LoginInput(serializers.Serializer[Any]):
    """An email address or a phone in any spelling, and the password."""

    identifier = TextField(max_length=254)
    password = TextField(max_length=LONGEST_PASSWORD, trim_whitespace=False)
    transport = serializers.ChoiceField(
        choices=["token"], default="token", help_text="Where the tokens travel: in the body."
    )


class RefreshInput(serializers.Serializer[Any]):
    """The refresh token of the session."""

    refresh = TextField(max_length=LONGEST_TOKEN)


class OptionalRefreshInput(serializers.Serializer[Any]):
    """The refresh token, for callers who send no access token."""

    refresh = TextField(max_length=LONGEST_TOKEN, required=False)


class TokenPairOutput(serializers.Serializer[Any]):
    """Both tokens of a session. They are shown once and stored nowhere."""

    access = serializers.CharField()
    refresh = serializers.CharField()
    access_expires_at = serializers.DateTimeField()
    refresh_expires_at = serializers.DateTimeField()


class SignedInOutput(TokenPairOutput):
    """The tokens, and who is signed in."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        serializer_class = cast(
            "type[serializers.Serializer[Any]]", import_string(auth_settings.USER_SERIALIZER)
        )
        return {"user": serializer_class(source="session.user"), **super().get_fields()}


class VerifyInput(serializers.Serializer[Any]):
    """The token to ask about: either kind as `token`, or a refresh token as `refresh`."""

    token = TextField(max_length=LONGEST_TOKEN, required=False)
    refresh = TextField(max_length=LONGEST_TOKEN, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError({"token": "Give either token or refresh."})
        return attrs


class VerifyOutput(serializers.Serializer[Any]):
    """What an accepted token is."""

    token_type = serializers.ChoiceField(choices=["access", "refresh"])
    session = serializers.UUIDField(source="session_uid")
    expires_at = serializers.DateTimeField()
