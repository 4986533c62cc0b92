"""A message is charged per part: with long real values each of ours is one part of plain GSM-7."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from ntc_notify.segments import measure_sms
from ntc_payments.types import FailureCode

LONG_VALUES = {
    "code": "123456",
    "minutes": 5,
    "amount": "TZS 1,500,000",
    "description": "Mwaka mmoja",
    "reference": "P0123456789ABCDEFGHJ",
    "active_until": "31/12/2027",
}


#: A kind, and what of it decides between words.
MESSAGES = [
    *((kind, {}) for kind in settings.NTC_NOTIFY_KINDS),
    *(("payment_failed", {"failure": code.value}) for code in FailureCode),
]


@pytest.mark.parametrize("language", ["sw", "en"])
@pytest.mark.parametrize(("kind", "values"), MESSAGES)
def test_an_sms_is_one_part(kind, values, language):
    template = f"ntc_notify/{kind}/sms.{language}.txt"

    text = render_to_string(template, {**LONG_VALUES, **values}).strip()

    size = measure_sms(text)

    assert size.alphabet == "gsm7", text
    assert size.segments == 1, f"{size.units}: {text}"
