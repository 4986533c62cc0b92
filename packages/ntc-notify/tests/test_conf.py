"""What a kind may say, and what the error is when it says something else."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from ntc_notify.conf import get_kind, list_kinds
from ntc_notify.errors import UnknownKind
from ntc_notify.types import Channel, OnAmbiguous


def test_kind_has_safe_defaults(settings):
    settings.NTC_NOTIFY_KINDS = {"receipt": {"channels": ["email"]}}

    (kind,) = list_kinds()

    assert kind.name == "receipt"
    assert kind.channels == (Channel.EMAIL,)
    assert kind.on_ambiguous == OnAmbiguous.HOLD
    assert kind.expires_seconds == 24 * 60 * 60
    assert kind.secrets is None


def test_lifetime_of_a_kind_comes_from_the_general_setting(settings):
    settings.NTC_NOTIFY_KINDS = {"receipt": {"channels": ["email"]}}
    settings.NTC_NOTIFY_EXPIRES_SECONDS = 60

    assert get_kind("receipt").expires_seconds == 60


def test_unknown_kind_names_the_known_ones():
    with pytest.raises(UnknownKind, match=r"'recipt'.*receipt, verification_code"):
        get_kind("recipt")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "'channels'"),
        ({"channels": ["pigeon"]}, "pigeon"),
        ({"channels": ["sms"], "chanels": 1}, "has chanels"),
        ({"channels": ["sms"], "expires_seconds": 0}, "'expires_seconds'"),
        ({"channels": ["sms"], "on_ambiguous": "panic"}, "panic"),
        ({"channels": ["sms"], "secrets": "a.b"}, "'secret_variables'"),
        ({"channels": ["sms"], "secret_variables": ["code"]}, "'secret_variables'"),
        (
            {
                "channels": ["sms"],
                "variables": ["code"],
                "secrets": "a.b",
                "secret_variables": ["code"],
            },
            "code cannot be",
        ),
        (
            {"channels": ["sms", "inapp"], "secrets": "a.b", "secret_variables": ["code"]},
            "an inbox keeps what it shows",
        ),
    ],
)
def test_wrong_kind_names_its_mistake(settings, options, words):
    settings.NTC_NOTIFY_KINDS = {"receipt": options}

    with pytest.raises(ImproperlyConfigured, match=words) as caught:
        get_kind("receipt")

    assert "NTC_NOTIFY_KINDS['receipt']" in str(caught.value)
