"""Carry out a call once per key.

The row of the key is inserted first, in the transaction of the call. A second call with the
same key therefore waits at the unique index until the first one is committed, and answers what
that one answered; if the first fails or its process dies, PostgreSQL takes the row back with
everything else, and the second one is the first. There is no lease to guess and no moment in
which the effect is there and the answer is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from ntc_core.idempotency.conf import idempotency_settings
from ntc_core.idempotency.errors import HEADER, KeyInUse, KeyInvalid, KeyReused
from ntc_core.idempotency.models import IdempotentAnswer

__all__ = ["Answer", "answer_once", "fingerprint_of", "read_key"]

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
#: SQLSTATE of PostgreSQL: the other call holds the row for longer than `lock_timeout`.
_LOCK_NOT_AVAILABLE = "55P03"
_MOST_TRIES = 5
_FAILED = 400


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call answered: the HTTP status, the encoded data and the headers that belong to it."""

    status: int
    body: str
    headers: dict[str, str]


class _Undo(Exception):
    """The call failed: nothing of it stays, and the key is free again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


def read_key(value: str) -> str:
    """Return a key as the client sent it.

    Raises:
        KeyInvalid: not 1 to 255 visible ASCII characters.
    """
    if not _KEY.fullmatch(value):
        raise KeyInvalid(attr=HEADER)
    return value


def fingerprint_of(*, method: str, path: str, data: Any) -> str:
    """Return what tells two requests apart; spaces and the order of keys in a body do not.

    Keyed with SECRET_KEY, because a body may hold a password: who reads the table must not be
    able to try passwords against it.
    """
    body = orjson.dumps(data, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    text = b"\0".join([method.encode(), path.encode(), body])
    return salted_hmac("ntc_core.idempotency", text, algorithm="sha256").hexdigest()


def answer_once(
    *, owner: str, key: str, fingerprint: str, call: Callable[[], Answer]
) -> tuple[Answer, bool]:
    """Return the answer to the call, and whether it was carried out before.

    Args:
        call: does the work, in a transaction of ours. An answer of 400 and more, or an exception,
            undoes it: such a call may be repeated with the same key.

    Raises:
        KeyReused: the key belongs to a request with another fingerprint.
        KeyInUse: the other call takes longer than we may wait (`lock_timeout`).
        Exception: whatever `call` raises.
    """
    for _ in range(_MOST_TRIES):
        row = _new_row(owner=owner, key=key, fingerprint=fingerprint)
        try:
            return _carry_out(row, call), False
        except _Undo as undo:
            return undo.answer, False
        except IntegrityError:
            if row.pk is not None:
                raise  # it is the call that broke a constraint
        known = IdempotentAnswer.objects.filter(owner=owner, key=key).first()
        if known is None:
            continue  # the other one failed in the meantime
        if known.expires_at <= timezone.now():
            IdempotentAnswer.objects.filter(pk=known.pk, expires_at=known.expires_at).delete()
            continue
        if known.fingerprint != fingerprint:
            raise KeyReused(attr=HEADER)
        return Answer(status=known.status, body=known.body, headers=known.headers), True
    raise KeyInUse(attr=HEADER)


def _new_row(*, owner: str, key: str, fingerprint: str) -> IdempotentAnswer:
    keep = timedelta(hours=idempotency_settings.IDEMPOTENCY_KEEP_HOURS)
    expires_at = timezone.now() + keep
    return IdempotentAnswer(owner=owner, key=key, fingerprint=fingerprint, expires_at=expires_at)


def _carry_out(row: IdempotentAnswer, call: Callable[[], Answer]) -> Answer:
    with transaction.atomic():
        try:
            row.save(force_insert=True)
        except OperationalError as error:
            if _is_lock_timeout(error):
                raise KeyInUse(attr=HEADER) from error
            raise
        answer = call()
        if answer.status >= _FAILED:
            raise _Undo(answer)
        row.status, row.body, row.headers = answer.status, answer.body, answer.headers
        row.save(update_fields=["status", "body", "headers"])
    return answer


def _is_lock_timeout(error: OperationalError) -> bool:
    cause = error.__cause__
    state = getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)
    return bool(state == _LOCK_NOT_AVAILABLE)
