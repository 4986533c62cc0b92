"""What a company is told about who pays."""

from __future__ import annotations

from typing import Any

from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from ntc_payments.conf import payments_settings
from ntc_payments.types import Payer

__all__ = ["describe_payer", "payer_of"]


def payer_of(user: Any) -> Payer:
    """Return what NTC_PAYMENT_PAYER_DETAILS makes of the user."""
    describe = import_string(payments_settings.PAYMENT_PAYER_DETAILS)
    payer: Payer = describe(user)
    return payer


def describe_payer(user: Any) -> Payer:
    """Return the name, the e-mail address and a stable id, as far as the user model has them.

    The id is the user's `uid`; without one, a keyed hash that tells no row number.
    """
    uid = getattr(user, "uid", None)
    if uid is None:
        uid = salted_hmac("ntc_payments.payer", str(user.pk), algorithm="sha256").hexdigest()[:32]
    get_full_name = getattr(user, "get_full_name", None)
    return Payer(
        external_id=str(uid),
        name=(get_full_name() if get_full_name else "").strip(),
        email=getattr(user, "email", None) or "",
    )
