"""One-time codes: six digits that prove somebody reads a phone or a mailbox.

Rules, after NIST SP 800-63B 5.1.3.2 and stricter: five minutes, five tries, one use, a
new code kills the old one for the same thing, the wait before another doubles, five an hour
and ten a day per destination and purpose. `code_limits` has the limits per asker and country.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from ntc_core.auth.audit import record_event
from ntc_core.auth.conf import auth_settings
from ntc_core.auth.errors import CodeInvalid
from ntc_core.auth.models import OneTimeCode
from ntc_core.auth.services.code_limits import take_code_limits
from ntc_core.auth.signals import code_issued
from ntc_core.errors import NotFound, RateLimited
from ntc_core.phone import mask_email, mask_phone
from ntc_core.rate_limits import give_back

__all__ = [
    "announce_code",
    "code_secrets",
    "issue_code",
    "redeem_code",
    "refuse_code",
    "reveal_code",
    "withdraw_codes",
]

DIGITS = 6
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def issue_code(
    *,
    purpose: str,
    destination: str,
    channel: str,
    subject: str = "",
    user: Any = None,
    context: Mapping[str, Any] | None = None,
    announce: bool = True,
    alongside: Callable[[OneTimeCode], object] | None = None,
) -> OneTimeCode:
    """Store a new challenge and let the project's receiver of `code_issued` carry the code.

    Call it outside of a transaction: a refusal is recorded, and the error that follows would
    take the record back. What belongs to the code is stored by `alongside`.

    Args:
        purpose: what the code is good for; it is good for nothing else.
        destination: E.164 phone or lower-case email address.
        channel: "sms" or "email".
        subject: the one thing it confirms, such as the uid of a registration. Another
            subject's code is never accepted in its place, and never replaces it.
        announce: False makes a code that nobody is told, at least not yet, for people who
            must get the same answer, the same work and the same limits as those who are.
        alongside: called with the challenge in the transaction that stores it, before it is
            announced; both are kept or neither is.

    Raises:
        RateLimited: too soon after the last code, or too many for this destination, from
            this client's address or network, or to this country.
    """
    now = timezone.now()
    challenge = OneTimeCode(
        purpose=purpose,
        destination=destination,
        channel=channel,
        subject=subject,
        user=user,
        context=dict(context or {}),
        expires_at=now + timedelta(seconds=auth_settings.CODE_SECONDS),
        resend_at=now + timedelta(seconds=auth_settings.CODE_RESEND_SECONDS),
        max_tries=auth_settings.CODE_MAX_TRIES,
    )
    verdict = take_code_limits(challenge)
    try:
        with transaction.atomic():
            _wait_for_turn(challenge)
            _replace_open_code(challenge, now=now)
            _require_within_limits(challenge, now=now)
            if alongside is not None:
                alongside(challenge)
            if announce:
                code_issued.send(sender=OneTimeCode, challenge=challenge)
    except RateLimited:
        give_back(verdict)  # no code has left
        raise
    record_event("code.issued", user=challenge.user, **_fields(challenge))
    return challenge


def announce_code(challenge: OneTimeCode) -> None:
    """Let the project carry a code that was issued with `announce=False`, if it still counts."""
    if challenge.is_redeemable(at=timezone.now()):
        with transaction.atomic():
            code_issued.send(sender=OneTimeCode, challenge=challenge)


def redeem_code(*, purpose: str, destination: str, code: str, subject: str = "") -> OneTimeCode:
    """Accept the code once, or count a failed try.

    The count is committed before the digits are compared, so it must not run inside the
    caller's transaction: a rollback there would give the guesser the try back.

    Raises:
        CodeInvalid: wrong, expired, replaced, used, tried too often, or never issued.
        RuntimeError: called inside a transaction.
    """
    now = timezone.now()
    # With the user at once: a query more for codes that are somebody's could be felt.
    challenge = (
        OneTimeCode.objects.select_related("user")
        .filter(
            purpose=purpose,
            destination=destination,
            subject=subject,
            used_at=None,
            superseded_at=None,
        )
        .first()
    )
    if challenge is None:
        refuse_code(purpose=purpose, destination=_masked(destination))
    redeemable = OneTimeCode.objects.filter(
        pk=challenge.pk, used_at=None, superseded_at=None, expires_at__gt=now
    )
    with transaction.atomic(durable=True):
        counted = redeemable.filter(tries__lt=F("max_tries")).update(
            tries=F("tries") + 1, updated_at=now
        )
    if not counted or not hmac.compare_digest(_digits(challenge).encode(), code.encode()):
        refuse_code(user=challenge.user, **_fields(challenge))
    if not redeemable.update(used_at=now, updated_at=now):
        refuse_code(user=challenge.user, **_fields(challenge))
    challenge.refresh_from_db(fields=["tries", "used_at", "updated_at"])
    record_event("code.redeemed", user=challenge.user, **_fields(challenge))
    return challenge


def refuse_code(*, purpose: str, user: Any = None, **details: Any) -> NoReturn:
    """Record that a code was refused, and say so; for a project's own reasons too.

    Raises:
        CodeInvalid: in every case.
    """
    record_event("code.refused", user=user, level=logging.WARNING, purpose=purpose, **details)
    raise CodeInvalid(attr="code")


def withdraw_codes(*, user: Any) -> int:
    """Make the open codes that were issued for the user worthless; return how many there were."""
    now = timezone.now()
    codes = OneTimeCode.objects.filter(user=user, used_at=None, superseded_at=None)
    return codes.update(superseded_at=now, updated_at=now)


def reveal_code(challenge_uid: UUID | str) -> str:
    """Return the digits, for the one who renders the message, when it is rendered.

    Never store, log or return them to a client.

    Raises:
        NotFound: there is no such code, or it could not be redeemed any more.
    """
    try:
        challenge = OneTimeCode.objects.filter(uid=challenge_uid).first()
    except ValidationError as error:  # not a UUID
        raise NotFound from error
    if challenge is None or not challenge.is_redeemable(at=timezone.now()):
        raise NotFound("This code is not valid any more.")
    return _digits(challenge)


def code_secrets(context: Mapping[str, Any]) -> dict[str, str]:
    """Return `{"code": digits}` for a message whose context holds `challenge`, the uid."""
    return {"code": reveal_code(context["challenge"])}


def _digits(challenge: OneTimeCode) -> str:
    # No part can contain a line break, so no two rows make the same message.
    message = "\n".join(
        (challenge.purpose, challenge.destination, str(challenge.uid), challenge.nonce.hex())
    )
    number = int.from_bytes(_pepper_mac(message), "big") % 10**DIGITS
    return f"{number:0{DIGITS}d}"


def _pepper_mac(message: str) -> bytes:
    pepper = auth_settings.CODE_PEPPER or None
    return salted_hmac("ntc_core.auth.codes", message, secret=pepper, algorithm="sha256").digest()


def _wait_for_turn(challenge: OneTimeCode) -> None:
    """Let one code at a time be issued for a destination and purpose, so that the counts hold.

    SQLite lets only one transaction write anyway.
    """
    if connection.vendor == "postgresql":
        turn = f"{challenge.purpose}\n{challenge.destination}"
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [turn])


def _replace_open_code(challenge: OneTimeCode, *, now: datetime) -> None:
    """Store the challenge in place of the open one for the same thing.

    The unique constraint makes this a lock as well: a concurrent call waits at one of the two
    statements, so whoever gets through sees every code there is.
    """
    OneTimeCode.objects.filter(
        purpose=challenge.purpose,
        destination=challenge.destination,
        subject=challenge.subject,
        used_at=None,
        superseded_at=None,
    ).update(superseded_at=now, updated_at=now)
    try:
        with transaction.atomic():
            challenge.save(force_insert=True)
    except IntegrityError as error:
        # Somebody else's insert came first, so a code is on its way this very moment.
        raise _too_soon(auth_settings.CODE_RESEND_SECONDS) from error


def _require_within_limits(challenge: OneTimeCode, *, now: datetime) -> None:
    """Refuse what comes too soon or too often; otherwise note when the next may come."""
    sent = OneTimeCode.objects.filter(
        destination=challenge.destination,
        purpose=challenge.purpose,
        created_at__gt=now - DAY,
    ).exclude(pk=challenge.pk)
    moments = list(sent.order_by("created_at").values_list("created_at", flat=True))
    for window, count in (
        (DAY, auth_settings.CODES_PER_DAY),
        (HOUR, auth_settings.CODES_PER_HOUR),
    ):
        if len(moments) >= count and moments[-count] > now - window:
            raise _too_soon((moments[-count] + window - now).total_seconds())

    unanswered = sent.filter(subject=challenge.subject, used_at=None, created_at__gt=now - HOUR)
    last = unanswered.order_by("-created_at").first()
    if last is not None and last.resend_at > now:
        raise _too_soon((last.resend_at - now).total_seconds())
    wait_seconds = auth_settings.CODE_RESEND_SECONDS * 2 ** unanswered.count()
    challenge.resend_at = now + timedelta(seconds=wait_seconds)
    challenge.save(update_fields=["resend_at", "updated_at"])


def _too_soon(seconds: float) -> RateLimited:
    return RateLimited(
        "A code was sent a moment ago. Wait before asking for another.",
        code="code_too_soon",
        retry_after_seconds=max(1, int(seconds) + 1),
    )


def _fields(challenge: OneTimeCode) -> dict[str, Any]:
    return {
        "challenge": str(challenge.uid),
        "purpose": challenge.purpose,
        "channel": challenge.channel,
        "destination": _masked(challenge.destination),
    }


def _masked(destination: str) -> str:
    return mask_email(destination) if "@" in destination else mask_phone(destination)
