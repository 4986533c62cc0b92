"""From a user of any project to where that person is reached."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from ntc_core.phone import InvalidPhone, parse_phone

from ntc_notify.errors import InvalidRecipient
from ntc_notify.types import Recipient

__all__ = ["read_addresses", "read_person"]


def read_person(person: Any) -> Recipient:
    """Return the addresses and language of a user, or of anything that looks like one.

    Raises:
        InvalidRecipient: an address is in a shape that cannot work.
    """
    phone = getattr(person, "phone_e164", None) or getattr(person, "phone", None)
    try:
        phone_e164 = parse_phone(phone) if phone else None
    except InvalidPhone as error:
        raise InvalidRecipient("The person's phone number is not valid.", attr="phone") from error
    return Recipient(
        email=getattr(person, "email", None) or None,
        phone_e164=phone_e164,
        user=person if isinstance(person, get_user_model()) else None,
        language=getattr(person, "language", None),
    )


def read_addresses(person: Any) -> Recipient:
    """Return the same; an address that cannot work is left out."""
    try:
        return read_person(person)
    except InvalidRecipient:
        return Recipient(user=person)
