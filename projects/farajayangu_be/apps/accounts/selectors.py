"""Finding people."""

from __future__ import annotations

from django.db.models import Q

from .models import User

__all__ = ["find_user_to_reset", "is_taken", "unproven_claims"]


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
