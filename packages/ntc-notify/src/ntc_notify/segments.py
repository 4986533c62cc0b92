"""Count what an SMS costs: its alphabet, its units and the parts it travels in.

Source: 3GPP TS 23.038 (alphabets) and TS 23.040 (parts): 160 septets alone or 153 per part,
70 UTF-16 units alone or 67 per part. An extension character costs two septets, a
character beyond the BMP two UTF-16 units, and neither is split between parts.
Plain Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["SmsSize", "measure_sms", "to_plain_characters"]

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("^{}\\[~]|€\f")
_LAST_BMP = 0xFFFF

# What word processors and phone keyboards put in, by what people mean. One of these turns
# a text of 160 characters from one part into three.
_TYPOGRAPHIC = {
    "'": "\u2018\u2019\u201a\u201b\u02bb\u02bc\u2032\u0060\u00b4",  # quotes, primes, accents alone
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022",  # hyphens, dashes, minus, bullet
    "...": "\u2026",
    ".": "\u00b7",
    "x": "\u00d7",
    " deg": "\u00b0",
    "(TM)": "\u2122",
    " ": "\t\u00a0\u2007\u2009\u202f",  # tab and spaces of other widths
    "": "\u00ad\u200b\u200c\u200d\u2060\ufeff",  # invisible
}
_PLAIN = {ord(character): plain for plain, group in _TYPOGRAPHIC.items() for character in group}


@dataclass(frozen=True, kw_only=True)
class SmsSize:
    """What a text weighs; `units` are septets or UTF-16 units."""

    alphabet: Literal["gsm7", "ucs2"]
    characters: int
    units: int
    segments: int


def measure_sms(text: str) -> SmsSize:
    """Return the alphabet the text needs, its units and the parts it is charged as."""
    if all(character in _BASIC or character in _EXTENSION for character in text):
        alphabet: Literal["gsm7", "ucs2"] = "gsm7"
        widths = [2 if character in _EXTENSION else 1 for character in text]
        alone, part = 160, 153
    else:
        alphabet = "ucs2"
        widths = [2 if ord(character) > _LAST_BMP else 1 for character in text]
        alone, part = 70, 67
    units = sum(widths)
    segments = 1 if units <= alone else _count_parts(widths, room=part)
    return SmsSize(alphabet=alphabet, characters=len(text), units=units, segments=segments)


def to_plain_characters(text: str) -> str:
    """Replace typographic characters by the plain ones every phone and alphabet has.

    Anything else, such as an emoji or Arabic, stays as it is.
    """
    return text.translate(_PLAIN)


def _count_parts(widths: Iterable[int], *, room: int) -> int:
    parts, used = 1, 0
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return parts
