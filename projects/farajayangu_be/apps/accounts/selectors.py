"""Finding people."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q
from ntc_core.auth.models import OneTimeCode

from .models import User

__all__ = [
    "PASSWORD_RESET",
    "address_of",
    "find_reset",
    "find_user_to_reset",
    "is_taken",
    "unproven_claims",
]

PASSWORD_RESET = "password_reset"  # noqa: S105 - a purpose


def unproven_claims(*, email: str = "", phone: str = "") -> Q:
    """Match users who only claim this address, and stand on another one that they proved.

    Nobody loses an account because somebody else wrote their address into a form.
    """
    if phone:
        return Q(phone=phone, phone_verified_at=None, email_verified_at__isnull=False)
    return Q(email=email, email_verified_at=None, phone_verified_at__isnull=False)


def is_taken(*, email: str = "", phone: str = "") -> bool:
    """Tell whether the phone, or else the email address, belongs to an account."""
    holders = User.objects.filter(phone=phone) if phone else User.objects.filter(email=email)
    return holders.exclude(unproven_claims(email=email, phone=phone)).exists()


def find_user_to_reset(*, email: str = "", phone: str = "") -> User | None:
    """Return the active user who proved this phone, or else this email address."""
    people = User.objects.filter(is_active=True)
    if phone:
        return people.filter(phone=phone, phone_verified_at__isnull=False).first()
    return people.filter(email=email, email_verified_at__isnull=False).first()


def find_reset(*, uid: UUID) -> OneTimeCode | None:
    """Return the code that `accounts/password/reset/` named so, whatever has become of it."""
    return OneTimeCode.objects.filter(uid=uid, purpose=PASSWORD_RESET).first()


def address_of(reset: OneTimeCode) -> dict[str, str]:
    """Return `{"phone": …}` or `{"email": …}`, where its code went."""
    return {"phone" if reset.channel == "sms" else "email": reset.destination}
