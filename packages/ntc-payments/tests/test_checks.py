"""System checks: a wrong configuration is named at start-up, without a call to anybody."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from ntc_payments.checks import (
    check_expiry,
    check_payer_details,
    check_policies,
    check_providers,
)
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.types import CallHandle

from tests.companies import HostedProvider

OPTIONS = {"base_url": "http://127.0.0.1:1", "api_key": "k", "webhook_secret": "s"}


class Renamed(HostedProvider):
    """Calls itself something else than its key in the settings."""

    name = "other"


def test_good_configuration_is_silent(settings):
    """Nobody listens at that address, and nobody is asked."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "simulator": OPTIONS,
        "hosted": {"class": "tests.companies.HostedProvider"},
    }

    assert [m for m in run_checks() if m.id and m.id.startswith("ntc_payments")] == []


@pytest.mark.parametrize(
    ("providers", "identifier", "word"),
    [
        ({"simulator": {**OPTIONS, "api_key": ""}}, "E001", "SIMULATOR_API_KEY"),
        ({"simulator": {**OPTIONS, "speed": 9}}, "E001", "'speed'"),
        ({"simulator": {**OPTIONS, "base_url": "pay.example"}}, "E001", "base URL"),
        ({"piggy": {}}, "E001", "'class'"),
        ({"piggy": {"class": "no.such.Class"}}, "E001", "no.such.Class"),
        ({"piggy": {"class": "tests.companies.HostedProvider"}}, "E002", "'hosted'"),
        ({"mine": {"class": "tests.test_checks.Renamed"}}, "E002", "'other'"),
        (["simulator"], "E001", "dict"),
    ],
)
def test_wrong_configuration_is_named(settings, providers, identifier, word):
    """With the setting, the provider and what is missing; never the secret."""
    settings.NTC_PAYMENT_PROVIDERS = providers

    [message] = check_providers()

    assert message.id == f"ntc_payments.{identifier}"
    assert word in message.msg


def test_every_method_needs_an_end(settings):
    """A payment that never expires would be asked about for ever."""
    assert check_expiry() == []
    settings.NTC_PAYMENT_EXPIRES_AFTER_SECONDS = {"mobile_push": 60}

    [message] = check_expiry()

    assert message.id == "ntc_payments.E003"
    assert "card, hosted_checkout, control_number" in message.msg


def test_provider_without_cancel_says_so():
    """Nobody calls it without looking at `can_cancel` first."""
    with pytest.raises(NotImplementedError, match="hosted"):
        PaymentProvider.cancel(HostedProvider(), CallHandle(reference="P1"))


@pytest.mark.parametrize("name", ["LATE_SUCCESS", "DUPLICATE"])
def test_policy_that_is_none_is_named(settings, name):
    """Also inside a dict; the words that exist are listed."""
    setattr(settings, f"NTC_PAYMENT_{name}_POLICY", "auto_refund")
    assert check_policies() == []

    for value in ("keep", {"ticket": "hold", "plan": "keep"}):
        setattr(settings, f"NTC_PAYMENT_{name}_POLICY", value)
        [error] = check_policies()
        assert error.id == "ntc_payments.E004"
        assert f"NTC_PAYMENT_{name}_POLICY has the policy 'keep'" in error.msg
        assert "hold" in error.msg


@pytest.mark.parametrize("path", ["nowhere.at_all", "tests.settings.SECRET_KEY"])
def test_payer_details_must_be_a_function(settings, path):
    """Otherwise the first attempt would be the one to find out."""
    assert check_payer_details() == []
    settings.NTC_PAYMENT_PAYER_DETAILS = path

    [error] = check_payer_details()

    assert error.id == "ntc_payments.E005"
