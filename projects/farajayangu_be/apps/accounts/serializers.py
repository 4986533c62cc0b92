"""What the endpoints of accounts take and give."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, cast

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from ntc_core.fields import PhoneField, TextField, UidField
from ntc_core.serializers import StrictSerializer
from ntc_core.storage.selectors import make_read_link
from rest_framework import serializers

from .models import Language, User, parse_email
from .selectors import address_of, find_reset

__all__ = [
    "CodeSentOutput",
    "MeInput",
    "PasswordChangeInput",
    "PasswordResetConfirmInput",
    "PasswordResetInput",
    "PasswordResetOutput",
    "RegisterInput",
    "RegistrationOutput",
    "ResendInput",
    "UserOutput",
    "VerifyRegistrationInput",
]

LONGEST_PASSWORD = 256
#: As `MinimumLengthValidator` has it.
SHORTEST_PASSWORD = 8


class EmailAddressField(TextField):
    """An email address; gives the spelling we store."""

    json_format = "email"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 254, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return parse_email(text)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages, code="invalid") from error


class PasswordField(TextField):
    """A password, taken as it is written, blanks included."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": LONGEST_PASSWORD, "trim_whitespace": False, **kwargs})


class NewPasswordField(PasswordField):
    """One to come: at least eight characters, not digits alone, and none that everybody has."""

    json_pattern = r"^[^\u0000]*[^\d\u0000][^\u0000]*$"

    def json_schema(self) -> dict[str, Any]:
        """Return the rules of AUTH_PASSWORD_VALIDATORS that a document can state."""
        return {**super().json_schema(), "minLength": SHORTEST_PASSWORD}


class NameField(TextField):
    """A person's name on one line."""

    json_pattern = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 150, "required": False, "allow_blank": True, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        # A line break in a name would become one in a subject line.
        if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in data):
            raise serializers.ValidationError("Write it on one line.", code="invalid")
        return text


class CodeField(TextField):
    """The six digits of a code."""

    json_pattern = r"^[0-9]{6}$"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 6, "min_length": 6, **kwargs})


class IdentifierField(TextField):
    """An email address or a phone in any spelling; gives `{"email": …}` or `{"phone": …}`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 254, **kwargs})

    def json_schema(self) -> dict[str, Any]:
        """Return that it is one of the two."""
        return {"anyOf": [{"format": "email"}, {"pattern": PhoneField.json_pattern}]}

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        # Their own limits of length: ours is measured on what we give, which is no text.
        name, field = ("email", EmailAddressField()) if "@" in text else ("phone", PhoneField())
        try:
            return {name: field.run_validation(text)}
        except serializers.ValidationError as error:
            raise serializers.ValidationError(
                "Enter an email address or a phone number.", code="invalid"
            ) from error


class UserOutput(serializers.ModelSerializer[User]):
    """A person, as they see themselves."""

    avatar = serializers.SerializerMethodField(
        help_text="An address that shows the picture for an hour; null: there is none."
    )

    def get_avatar(self, user: User) -> str | None:
        link = make_read_link(user.avatar)
        return link.url if link else None

    class Meta:
        model = User
        fields = (
            "uid",
            "email",
            "phone",
            "full_name",
            "language",
            "avatar",
            "email_verified_at",
            "phone_verified_at",
            "created_at",
        )
        read_only_fields = fields


class RegisterInput(StrictSerializer):
    """A phone, an email address or both; the code goes to the phone if there is one.

    The account has the address that got the code; the other one is only noted.
    """

    json_schema = {"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}

    phone = PhoneField(required=False)
    email = EmailAddressField(required=False)
    password = NewPasswordField()
    full_name = NameField()
    language = serializers.ChoiceField(choices=Language.choices, default=Language.SWAHILI.value)

    def to_internal_value(self, data: Any) -> Any:
        """Read the fields; a missing address is named together with whatever else is wrong."""
        if not isinstance(data, Mapping) or "phone" in data or "email" in data:
            return super().to_internal_value(data)
        errors: dict[str, Any] = {
            "phone": serializers.ErrorDetail("Give a phone number or an email address.", "required")
        }
        try:
            super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors.update(cast("dict[str, Any]", error.detail))
        raise serializers.ValidationError(errors)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        person = User(
            phone=attrs.get("phone"),
            email=attrs.get("email"),
            full_name=attrs.get("full_name", ""),
        )
        _require_good_password(attrs["password"], field="password", user=person)
        return attrs


class CodeSentOutput(serializers.Serializer[Any]):
    """When the code ends, and when another may be asked for."""

    expires_at = serializers.DateTimeField()
    resend_at = serializers.DateTimeField()


class RegistrationOutput(CodeSentOutput):
    """The registration that the code is for."""

    registration = serializers.UUIDField(source="subject")


class ResendInput(StrictSerializer):
    """The registration, as `accounts/register/` named it."""

    registration = UidField()


class VerifyRegistrationInput(StrictSerializer):
    """The registration and the code that came for it."""

    registration = UidField()
    code = CodeField()


class MeInput(StrictSerializer):
    """What people may change about themselves; what is left out stays."""

    full_name = NameField()
    language = serializers.ChoiceField(choices=Language.choices, required=False)
    avatar = UidField(
        required=False,
        allow_null=True,
        help_text="A completed upload for the purpose `avatar`; null removes the picture.",
    )
    # They are proven by a code, or by nothing.
    email = serializers.CharField(read_only=True)
    phone = serializers.CharField(read_only=True)


class PasswordChangeInput(StrictSerializer):
    """The present password and the one to come."""

    current_password = PasswordField()
    new_password = NewPasswordField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        _require_good_password(
            attrs["new_password"], field="new_password", user=self.context["request"].user
        )
        return attrs


class PasswordResetInput(StrictSerializer):
    """Where the code shall go: a proven email address or phone of the account."""

    identifier = IdentifierField()


class PasswordResetOutput(CodeSentOutput):
    """The reset that the code is for."""

    reset = serializers.UUIDField(source="uid")


class PasswordResetConfirmInput(StrictSerializer):
    """The reset, as `accounts/password/reset/` named it, its code, and the password to come."""

    reset = UidField()
    code = CodeField()
    new_password = NewPasswordField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        reset = find_reset(uid=attrs["reset"])
        # Not like the address, which who asked for the reset knows; no more is told of the user.
        person = User(**address_of(reset)) if reset else User()
        _require_good_password(attrs["new_password"], field="new_password", user=person)
        return attrs


def _require_good_password(password: str, *, field: str, user: User) -> None:
    try:
        validate_password(password, user=user)
    except ValidationError as error:
        raise serializers.ValidationError({field: error.messages}, code="password_weak") from error
