"""A message is charged per part: with long real values each of ours is one part of plain GSM-7."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from ntc_notify.segments import measure_sms

LONG_VALUES = {
    "code": "123456",
    "minutes": 5,
    "amount": "TZS 1,500,000",
    "description": "Mwaka mmoja",
    "reference": "P0123456789ABCDEFGHJ",
    "active_until": "31/12/2027",
}


@pytest.mark.parametrize("language", ["sw", "en"])
@pytest.mark.parametrize("kind", settings.NTC_NOTIFY_KINDS)
def test_an_sms_is_one_part(kind, language):
    text = render_to_string(f"ntc_notify/{kind}/sms.{language}.txt", LONG_VALUES).strip()

    size = measure_sms(text)

    assert size.alphabet == "gsm7", text
    assert size.segments == 1, f"{size.units}: {text}"
