"""Phone numbers: every spelling people use in, E.164 out. And how people look in logs.

Plain Python on phonenumbers (Google's metadata); no Django.
"""

from __future__ import annotations

import re
import unicodedata

import phonenumbers

__all__ = ["InvalidPhone", "mask_email", "mask_phone", "parse_phone"]

_LONGEST_SPELLING = 40
_ALLOWED = re.compile(r"\+?[0-9 ()./-]+", re.ASCII)


class InvalidPhone(ValueError):
    """The text is not a phone number somebody could own."""


def parse_phone(text: str, *, region: str = "TZ") -> str:
    """Return the E.164 form: `"+255712345678"` for `0712 345 678` and its many spellings.

    A number without a country code belongs to `region`.

    Raises:
        InvalidPhone: not a number that exists in the numbering plan. The message does not
            repeat the number.
    """
    spelling = _plain_spelling(text)
    try:
        number = phonenumbers.parse(spelling, region)
    except phonenumbers.NumberParseException as error:
        raise InvalidPhone(_HELP) from error
    if number.extension or not phonenumbers.is_valid_number(number):
        raise InvalidPhone(_HELP)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_HELP = "Enter a valid phone number, such as 0712 345 678 or +255 712 345 678."


def _plain_spelling(text: str) -> str:
    """Reduce digits, dashes and spaces of any script to ASCII; refuse anything else."""
    if not isinstance(text, str) or len(text) > _LONGEST_SPELLING:
        raise InvalidPhone(_HELP)
    # NFKC turns full-width digits and no-break spaces into plain ones.
    plain = "".join(map(_plain_character, unicodedata.normalize("NFKC", text))).strip()
    # phonenumbers would read letters as a keypad ("0712FARAJA"); nobody means that here.
    if not _ALLOWED.fullmatch(plain):
        raise InvalidPhone(_HELP)
    # "00" is how most of the world dials out; Tanzania's own prefix is "000".
    for prefix in ("000", "00"):
        if plain.startswith(prefix):
            return "+" + plain.removeprefix(prefix).lstrip()
    return plain


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    if category == "Zs" or character in "\t\r\n":
        return " "
    if category == "Cf":  # invisible direction marks come along when people copy a contact
        return ""
    return character


def mask_phone(phone_e164: str) -> str:
    """Return `"+2557****678"`: enough to recognise, too little to call."""
    shown = 5 if phone_e164.startswith("+") else 2
    if len(phone_e164) < shown + 6:  # at least three digits stay hidden
        return "****"
    return f"{phone_e164[:shown]}****{phone_e164[-3:]}"


def mask_email(address: str) -> str:
    """Return `"a***@d***"`."""
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        return "***"
    return f"{local[0]}***@{domain[0]}***"
