"""The SMS counter, against vectors confirmed by another program and against its own rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_notify.segments import measure_sms, to_plain_characters

GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = "^{}\\[~]|€\f"

# Segment counts computed with the independent package smsutil 1.1.3.
VECTORS = [
    ("plain Swahili", "Habari Asha, malipo yako ya TZS 25,000 yamepokelewa.", "gsm7", 52, 1),
    ("ASCII apostrophe", "Ng'ombe wawili wameuzwa leo.", "gsm7", 28, 1),
    ("typographic apostrophe", "Ng\u2019ombe wawili wameuzwa leo.", "ucs2", 28, 1),
    ("154 is still one part", "a" * 154, "gsm7", 154, 1),
    ("160 fill one", "a" * 160, "gsm7", 160, 1),
    ("161 are two", "a" * 161, "gsm7", 161, 2),
    ("306 fill two", "a" * 306, "gsm7", 306, 2),
    ("307 are three", "a" * 307, "gsm7", 307, 3),
    ("the euro sign costs two", "Bei ni €5", "gsm7", 10, 1),
    ("square brackets cost two", "[OTP] 123456", "gsm7", 14, 1),
    ("80 euro signs fill one", "€" * 80, "gsm7", 160, 1),
    ("81 euro signs are two", "€" * 81, "gsm7", 162, 2),
    ("an escape pair is not split", "a" * 152 + "€" + "a" * 152, "gsm7", 306, 3),
    ("an emoji counts two", "Asante \U0001f64f", "ucs2", 9, 1),
    ("an emoji is not split", "a" * 66 + "\U0001f64f" + "a" * 66, "ucs2", 134, 3),
    ("70 fill one", "ш" * 70, "ucs2", 70, 1),
    ("71 are two", "ш" * 71, "ucs2", 71, 2),
    ("134 fill two", "ш" * 134, "ucs2", 134, 2),
    ("135 are three", "ш" * 135, "ucs2", 135, 3),
    ("accented letters of GSM", "Aéàñ Ç ü £ ¥ §", "gsm7", 14, 1),
    ("a lower-case c-cedilla is not GSM", "façade", "ucs2", 6, 1),
    ("a tab is not GSM", "Jina:\tAsha", "ucs2", 10, 1),
    ("a newline is GSM", "Mstari 1\nMstari 2", "gsm7", 17, 1),
    ("a backtick is not GSM", "`x`", "ucs2", 3, 1),
    ("nothing is one part", "", "gsm7", 0, 1),
]


@pytest.mark.parametrize(
    ("text", "alphabet", "units", "segments"),
    [vector[1:] for vector in VECTORS],
    ids=[vector[0] for vector in VECTORS],
)
def test_vector(text, alphabet, units, segments):
    size = measure_sms(text)

    assert (size.alphabet, size.units, size.segments) == (alphabet, units, segments)
    assert size.characters == len(text)


@given(st.text(st.sampled_from(GSM_BASIC + GSM_EXTENSION), max_size=700))
def test_gsm_text_fits_into_its_segments_and_into_no_fewer(text):
    size = measure_sms(text)

    septets = len(text) + sum(character in GSM_EXTENSION for character in text)
    assert size.alphabet == "gsm7"
    assert size.units == septets
    if septets <= 160:
        assert size.segments == 1
    else:
        # A part loses at most one septet to a pair that would be split.
        assert -(-septets // 153) <= size.segments <= -(-septets // 152)


@given(st.text(max_size=400).map(lambda text: f"{text}ш"))
def test_ucs2_text_is_counted_in_utf16_units(text):
    size = measure_sms(text)

    units = len(text.encode("utf-16-be", "surrogatepass")) // 2
    assert size.alphabet == "ucs2"
    assert size.units == units
    if units <= 70:
        assert size.segments == 1
    else:
        assert -(-units // 67) <= size.segments <= -(-units // 66)


def test_typography_becomes_plain():
    typographic = "\u201cNg\u2019ombe\u201d \u2013 25\u00b0\u2026 a\u00a0b\u200b"

    assert to_plain_characters(typographic) == '"Ng\'ombe" - 25 deg... a b'


def test_one_curly_quote_costs_two_segments_until_it_is_plain():
    text = "a" * 159 + "\u2019"

    assert measure_sms(text).segments == 3
    assert measure_sms(to_plain_characters(text)).segments == 1


@given(st.text())
def test_plain_characters_never_cost_more_alphabet(text):
    """What was GSM stays the same text; making plain twice is making plain once."""
    plain = to_plain_characters(text)

    if measure_sms(text).alphabet == "gsm7":
        assert plain == text
    assert to_plain_characters(plain) == plain


def test_other_characters_stay():
    assert to_plain_characters("Karibu \U0001f64f مرحبا") == "Karibu \U0001f64f مرحبا"
