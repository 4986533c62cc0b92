"""The system checks find at start-up what would fail at the first message."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

RECEIPT = {"channels": ["sms", "email"], "variables": ["name", "amount", "reference"]}


def problems(*, deploy: bool = False) -> list[str]:
    found = run_checks(include_deployment_checks=deploy)
    return sorted(problem.id for problem in found if problem.id.startswith("ntc_notify."))


def test_good_settings_are_silent():
    assert problems() == []


@pytest.mark.parametrize(
    ("kinds", "ids"),
    [
        ({"receipt": {"channels": []}}, ["ntc_notify.E001"]),
        ({"receipt": RECEIPT | {"secrets": "no.where", "secret_variables": ["x"]}},
         ["ntc_notify.E002"]),
        ({"receipt": RECEIPT | {"secrets": "tests.project.none", "secret_variables": ["x"]}},
         ["ntc_notify.E002"]),
        # "welcome" has no SMS templates, in two languages.
        ({"welcome": {"channels": ["sms", "email"], "variables": ["name"]}},
         ["ntc_notify.E003", "ntc_notify.E003"]),
        # Both SMS and both email templates show the reference.
        ({"receipt": RECEIPT | {"variables": ["name", "amount"]}}, ["ntc_notify.E004"] * 4),
        ({"receipt": RECEIPT | {"variables": [*RECEIPT["variables"], "colour"]}},
         ["ntc_notify.W001"]),
    ],
)  # fmt: skip
def test_kind_that_could_not_be_sent_is_found(settings, kinds, ids):
    settings.NTC_NOTIFY_KINDS = kinds

    assert problems() == ids


def test_variable_that_only_the_resolver_reads_is_no_mistake():
    """`challenge_uid` of verification_code is in no template."""
    assert "ntc_notify.W001" not in problems()


@pytest.mark.parametrize(
    "options",
    [
        {"host": ""},
        {"host": "127.0.0.1", "security": "ssl"},
        {"host": "127.0.0.1", "ca_file": "/no/such/file"},
        {"host": "127.0.0.1", "colour": "red"},
        {"host": "127.0.0.1", "timeout_seconds": "20"},
    ],
)
def test_provider_that_cannot_be_built_is_found(settings, options):
    settings.NTC_EMAIL_PROVIDERS = {"smtp": options}

    assert problems(deploy=True) == ["ntc_notify.E005", "ntc_notify.E007"]  # E007: the SMS mailbox


def test_provider_that_may_outlast_its_claim_is_found(settings):
    settings.NTC_SMS_PROVIDERS = {
        "slow": {
            "class": "tests.scripted.ScriptedSmsProvider", "company": "a", "timeout_seconds": 50.0,
        }
    }  # fmt: skip

    assert problems() == ["ntc_notify.E006"]


def test_mailbox_is_refused_in_production_only(settings):
    assert problems(deploy=True) == ["ntc_notify.E007", "ntc_notify.E007"]

    settings.DEBUG = True

    assert problems(deploy=True) == []


def test_receipts_that_could_never_arrive_are_found(settings):
    """Beem does not sign: its reports are taken by the path with the secret, or not at all."""
    options = {"api_key": "k", "secret_key": "s", "sender_id": "FARAJA"}
    settings.NTC_SMS_PROVIDERS = {"beem": options}
    assert problems() == []

    settings.NTC_SMS_PROVIDERS = {"beem": options | {"webhook_secret": "siri"}}
    assert problems() == ["ntc_notify.E010"]

    settings.NTC_WEBHOOK_PATH_SECRET = "siri"
    assert problems() == []


def test_options_of_beems_own_codes_are_looked_at(settings):
    settings.NTC_BEEM_OTP = {"api_key": "k", "secret_key": "s", "app_id": 0}

    assert problems() == ["ntc_notify.E009"]


def test_urls_without_the_core_are_warned_of(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "ntc_core"]

    assert problems() == ["ntc_notify.W003"]
