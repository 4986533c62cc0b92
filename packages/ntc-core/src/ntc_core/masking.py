"""Take secrets and people out of whatever is about to be logged.

Two nets: by the name of a field (`password`, `token`, `phone` …) and by the look of a text
(a JWT, `Bearer …`, `password=…`, a phone number, an email address), so that a traceback or a
company's answer with somebody's number in it is caught too. It is the second line of
defence; the first is not to log such things.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from ntc_core.conf import core_settings
from ntc_core.phone import mask_email, mask_phone

__all__ = ["HIDDEN", "mask_text", "mask_value"]

HIDDEN = "***"

_MAX_DEPTH = 8
_SECRET_NAME = re.compile(
    r"authorization|passw|passphrase|secret|token|credential|cookie|csrf|signature|jwt"
    r"|api[_-]?key|private[_-]?key|signing[_-]?key|session[_-]?(?:id|key)"
    r"|(?:^|[_-])(?:otp|pin)(?:[_-]|$)"
    r"|^(?:code|access|refresh|digest|x-digest)$"
    r"|(?:one[_-]?time|verification|reset|sms|login|security)[_-]?code",
    re.IGNORECASE,
)
_PHONE_NAME = re.compile(r"phone|msisdn", re.IGNORECASE)

# Order matters: what an earlier one hides, a later one cannot half-hide.
_SECRETS_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    # user:password@host of any URL
    (re.compile(r"(://[^\s:/@'\"]*:)[^\s@/'\"]+(@)"), rf"\1{HIDDEN}\2"),
    # a header's or cookie jar's whole value
    (
        re.compile(
            r"""((?:set-)?cookie["']?\s*[:=]\s*["']?)[^"'\r\n]+""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(Bearer|Basic|Digest)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    # password=…, "api_key": "…", token: …
    (
        re.compile(
            r"""((?:passw\w*|passphrase|\w*secret\w*|\w*token|\w*api[_-]?key|csrf\w*|sessionid
            |authorization)["']?\s*[:=]\s*["']?)(?!\*\*\*|Bearer|Basic|Digest)[^\s"',;&)}\]]+""",
            re.IGNORECASE | re.VERBOSE,
        ),
        rf"\1{HIDDEN}",
    ),
    # code 123456, OTP: 1234, "pin": "0000"
    (
        re.compile(
            r"""\b((?:\w+_)?(?:code|otp|pin)["']?\s*(?:[:=]|is|ni)?\s*["']?)\d{4,8}\b""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)

_PEOPLE_IN_TEXT = re.compile(
    r"""
    # A UUID may look like a phone number; it is nobody's.
    (?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)
    | (?P<email>[\w.+%-]+@[\w-]+\.[\w.-]*\w)
    | (?<![0-9A-Za-z.])(?P<phone>
        (?:\+|00|%2B)?255[ .-]?(?:\(0\)[ .-]?)?[67]\d(?:[ .-]?\d){7}
        | \(?0[67]\d{1,2}\)?(?:[ .-]?\d){6,7}
        | \+[1-9]\d{8,14}
      )(?![0-9])
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_TANZANIAN_DIGITS = 9


def mask_text(text: str) -> str:
    """Return the text with secrets as `***`, phones as `+2557****678`, mails as `a***@d***`."""
    path_secret = core_settings.WEBHOOK_PATH_SECRET if settings.configured else ""
    if path_secret:
        text = text.replace(path_secret, HIDDEN)
    for pattern, replacement in _SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    return _PEOPLE_IN_TEXT.sub(_mask_person, text)


def mask_value(name: str, value: Any) -> Any:
    """Return the value of the log field `name` in plain JSON types, masked all the way down."""
    return _mask(name, value, depth=0)


def _mask(name: str, value: Any, *, depth: int) -> Any:  # noqa: PLR0911 - one line per type
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAME.search(name):
        return HIDDEN
    if _PHONE_NAME.search(name) and isinstance(value, str | int):
        return mask_phone(re.sub(r"[^\d+]", "", str(value)))
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        # A phone number is a number to some companies.
        text = str(value)
        return value if _PEOPLE_IN_TEXT.fullmatch(text) is None else mask_text(text)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return {
            mask_text(str(key)): _mask(str(key), item, depth=depth + 1)
            for key, item in value.items()
        }
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return _mask_items(name, value, depth=depth)
    return mask_text(str(value))


def _mask_items(name: str, values: Iterable[Any], *, depth: int) -> list[Any]:
    return [_mask(name, item, depth=depth + 1) for item in values]


def _mask_person(match: re.Match[str]) -> str:
    if match["uuid"]:
        return match["uuid"]
    if match["email"]:
        return mask_email(match["email"])
    digits = re.sub(r"\D", "", match["phone"].upper().removeprefix("%2B"))
    if match["phone"].startswith("+") and not digits.startswith("255"):
        return mask_phone(f"+{digits}")
    return mask_phone(f"+255{digits[-_TANZANIAN_DIGITS:]}")
