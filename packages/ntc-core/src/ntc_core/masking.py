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

__all__ = ["HIDDEN", "LONGEST_TEXT", "mask_text", "mask_value"]

HIDDEN = "***"
#: A text in a log is cut to this many characters unless its place asks for less or more.
LONGEST_TEXT = 8 * 1024

# Longer than any phone number, address or token's head: what is masked at its own look.
_CUT_MARGIN = 512

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

# Strangers choose what is masked here: the path of a request, a company's answer. So each
# pattern is linear. It starts at a literal or where a run of its own characters starts, and
# what repeats is possessive (`*+`) or bounded; none may try every end from every start.
#
# Order matters: what an earlier one hides, a later one cannot half-hide.
_SECRETS_IN_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    # user:password@host of any URL
    (re.compile(r"(://[^\s:/@'\"]*+:)[^\s@/'\"]++(@)"), rf"\1{HIDDEN}\2"),
    # a header's or cookie jar's whole value
    (
        re.compile(
            r"""(cookie["']?\s*+[:=]\s*+["']?+)[^"'\r\n]++""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(Bearer|Basic|Digest)\s++[\w.~+/=-]{6,}+", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # a JWT, or what a cut left of one
    (re.compile(r"\beyJ[\w-]{6,}+(?:\.[\w-]*+){0,2}+"), HIDDEN),
    # password=…, "api_key": "…", token: …; what stands before the word stays as it is
    (
        re.compile(
            r"""((?:passw\w{0,64}+|passphrase|secret\w{0,64}+|token|api[_-]?key|csrf\w{0,64}+
            |sessionid|authorization)["']?\s*+[:=]\s*+["']?)
            (?!\*\*\*|Bearer|Basic|Digest)[^\s"',;&)}\]]++""",
            re.IGNORECASE | re.VERBOSE,
        ),
        rf"\1{HIDDEN}",
    ),
    # code 123456, OTP: 1234, "pin": "0000", login_code=123456
    (
        re.compile(
            r"""(?<![^\W_])
            ((?:code|otp|pin)["']?+\s*+(?:(?:[:=]|is|ni)\s*+)?+["']?+)\d{4,8}+\b""",
            re.IGNORECASE | re.VERBOSE,
        ),
        rf"\1{HIDDEN}",
    ),
)

_EMAIL_IN_TEXT = re.compile(r"(?<![\w.+%-])[\w.+%-]++@[\w-]++\.[\w.-]*\w", re.IGNORECASE | re.ASCII)
_PHONE_IN_TEXT = re.compile(
    r"""
    # A UUID may look like a phone number; it is nobody's.
    (?P<uuid>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)
    | (?<![0-9A-Za-z.])(?P<phone>
        (?:\+|00|%2B)?255[ .-]?(?:\(0\)[ .-]?)?[67]\d(?:[ .-]?\d){7}
        | \(?0[67]\d{1,2}\)?(?:[ .-]?\d){6,7}
        | \+[1-9]\d{8,14}
      )(?![0-9])
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_TANZANIAN_DIGITS = 9


def mask_text(text: str, *, longest: int = LONGEST_TEXT) -> str:
    """Return the text with secrets as `***`, phones as `+2557****678`, mails as `a***@d***`.

    Args:
        longest: what is longer is cut to this many characters and ends in `…`. The cut never
            leaves half of something that would have been masked whole.
    """
    whole = len(text) <= longest + _CUT_MARGIN
    masked = _mask_all(text[: longest + _CUT_MARGIN])
    if whole and len(masked) <= longest:
        return masked
    # Near the end of the piece may lie the first half of a number or address, which looks
    # like nobody's; so that end is not shown.
    end = longest if whole else min(longest, len(masked) - _CUT_MARGIN)
    return f"{masked[: max(end - 1, 0)]}…"


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
        return value if _PHONE_IN_TEXT.fullmatch(text) is None else mask_text(text)
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


def _mask_all(text: str) -> str:
    path_secret = core_settings.WEBHOOK_PATH_SECRET if settings.configured else ""
    if path_secret:
        text = text.replace(path_secret, HIDDEN)
    for pattern, replacement in _SECRETS_IN_TEXT:
        text = pattern.sub(replacement, text)
    text = _EMAIL_IN_TEXT.sub(lambda match: mask_email(match[0]), text)
    return _PHONE_IN_TEXT.sub(_mask_phone, text)


def _mask_phone(match: re.Match[str]) -> str:
    if match["uuid"]:
        return match["uuid"]
    digits = re.sub(r"\D", "", match["phone"].upper().removeprefix("%2B"))
    if match["phone"].startswith("+") and not digits.startswith("255"):
        return mask_phone(f"+{digits}")
    return mask_phone(f"+255{digits[-_TANZANIAN_DIGITS:]}")
