"""The user, and the sign-up that waits for its code."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from ntc_core.auth.users import SessionUserMixin
from ntc_core.models import BaseModel
from ntc_core.phone import InvalidPhone, parse_phone
from ntc_core.storage.models import Upload

__all__ = [
    "Language",
    "PendingRegistration",
    "User",
    "UserManager",
    "parse_email",
    "validate_phone",
]


class Language(models.TextChoices):
    """The languages we write to people in."""

    SWAHILI = "sw", "Kiswahili"
    ENGLISH = "en", "English"


def parse_email(text: str) -> str:
    """Return the address as we store it: trimmed, lower-case.

    Raises:
        ValidationError: it is not an email address.
    """
    address = text.strip().lower()
    validate_email(address)
    return address


def validate_phone(text: str) -> None:
    """Refuse what is not a phone number in E.164."""
    try:
        phone_e164 = parse_phone(text)
    except InvalidPhone as error:
        raise ValidationError("Enter a valid phone number.", code="invalid") from error
    if phone_e164 != text:
        raise ValidationError(f"Write it as {phone_e164}.", code="invalid")


class UserManager(BaseUserManager["User"]):
    """Makes users, and finds them by whatever they sign in with."""

    def get_by_natural_key(self, username: str | None) -> User:
        """Return the user with this email, or this phone in any spelling.

        Django's own `ModelBackend` calls this, so the API and the admin sign people in
        the same way.

        Raises:
            User.DoesNotExist: nobody has it, or it is neither an email nor a phone.
        """
        text = username or ""
        try:
            if "@" in text:
                return self.get(email=parse_email(text))
            return self.get(phone=parse_phone(text))
        except (ValidationError, InvalidPhone) as error:
            raise self.model.DoesNotExist("Neither an email address nor a phone number.") from error

    def create_user(
        self,
        email: str | None = None,
        phone: str | None = None,
        password: str | None = None,
        **fields: Any,
    ) -> User:
        """Store a user; without a password nobody can sign in as them yet."""
        user = self.model(
            email=parse_email(email) if email else None,
            phone=parse_phone(phone) if phone else None,
            **fields,
        )
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self,
        email: str | None = None,
        phone: str | None = None,
        password: str | None = None,
        **fields: Any,
    ) -> User:
        """Store a user who may do everything. Whoever may run this vouches for the addresses."""
        now = timezone.now()
        fields = {
            "email_verified_at": now if email else None,
            "phone_verified_at": now if phone else None,
            **fields,
            "is_staff": True,
            "is_superuser": True,
        }
        return self.create_user(email=email, phone=phone, password=password, **fields)


class User(BaseModel, SessionUserMixin, AbstractBaseUser, PermissionsMixin):
    """A person with an email address, a phone, or both. There is no username."""

    # Both columns hold one spelling only, so plain unique indexes are case-insensitive.
    email = models.EmailField(unique=True, null=True, blank=True)
    phone = models.CharField(
        max_length=16,
        unique=True,
        null=True,
        blank=True,
        validators=[validate_phone],
        help_text="With country code, such as +255712345678.",
    )
    # Many may claim one address: it finds, reaches and keeps out nobody. Were it in `email`
    # while it is free, the person's own page would tell who else has an account.
    claimed_email = models.EmailField(
        blank=True, help_text="Given at sign-up beside a phone, and not proven."
    )
    full_name = models.CharField(max_length=150, blank=True)
    language = models.CharField(max_length=2, choices=Language, default=Language.SWAHILI)
    avatar = models.OneToOneField(
        Upload, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    email_verified_at = models.DateTimeField(null=True, blank=True)
    phone_verified_at = models.DateTimeField(null=True, blank=True)
    is_active = models.BooleanField(
        default=True,
        help_text="Without it nobody signs in as them, and their open sessions stop working.",
    )
    is_staff = models.BooleanField(default=False, help_text="May open the admin.")

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    # What Django's forms and `createsuperuser` ask for; a phone works there too,
    # see UserManager.get_by_natural_key().
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="accounts_user_reachable",
                condition=models.Q(email__isnull=False) | models.Q(phone__isnull=False),
                violation_error_message="Give an email address or a phone number.",
            ),
            models.CheckConstraint(
                name="accounts_user_email_lower",
                condition=models.Q(email=Lower("email")),
                violation_error_message="Write the email address in lower case.",
            ),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email or self.phone or str(self.uid)

    def clean(self) -> None:
        """Bring what a form gave into the stored spelling; empty means none."""
        self.email = self.email.strip().lower() if self.email else None
        self.phone = self.phone or None

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return str(self)


class PendingRegistration(BaseModel):
    """A sign-up whose code has not come back. It is not a user, and nobody signs in with it.

    Everybody who claims a phone gets their own row with their own password: the code
    that proves the phone belongs to one row, so it can never switch on another
    person's password.
    """

    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=16, blank=True)
    password = models.CharField(max_length=128, help_text="Hashed.")
    full_name = models.CharField(max_length=150, blank=True)
    language = models.CharField(max_length=2, choices=Language, default=Language.SWAHILI)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="accounts_registration_reachable",
                condition=~models.Q(email="", phone=""),
            ),
        ]

    def __str__(self) -> str:
        return str(self.uid)

    @property
    def destination(self) -> str:
        """Where the code goes: the phone if there is one."""
        return self.phone or self.email

    @property
    def channel(self) -> str:
        """Return "sms" or "email", as the destination asks."""
        return "sms" if self.phone else "email"
