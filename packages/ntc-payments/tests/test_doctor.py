"""`ntc doctor` asks every company with our credentials, and what it asks changes nothing."""

from __future__ import annotations

import pytest
from ntc_core.doctor import AnswerState, ask_services
from ntc_core.http import HttpFailure

from tests.polar_samples import listed, provider_at
from tests.scripted_company import scripted_company

API_KEY = "an-api-key-that-nobody-sees"


@pytest.fixture
def company():
    """Run a company with a script."""
    with scripted_company() as running:
        yield running


def simulator_at(base_url, **options):
    return {
        "base_url": base_url,
        "api_key": API_KEY,
        "webhook_secret": "s",
        "total_timeout_seconds": 2,
        **options,
    }


def clickpesa_at(base_url):
    return {
        "base_url": base_url,
        "client_id": "client",
        "api_key": API_KEY,
        "total_timeout_seconds": 2,
    }


@pytest.fixture
def answers(settings):
    """Ask with these NTC_PAYMENT_PROVIDERS and return the companies' answers."""

    def ask(**providers):
        settings.NTC_PAYMENT_PROVIDERS = providers
        return {
            answer.name: answer for answer in ask_services() if answer.name.startswith("payments ")
        }

    return ask


def test_a_company_that_knows_us_is_up(company, answers):
    company.answer("GET /v1/collections/doctor", {"code": "not_found"}, status=404)

    answer = answers(simulator=simulator_at(company.base_url))["payments simulator"]

    assert answer.state is AnswerState.UP
    [call] = company.calls
    assert call.headers["authorization"] == f"Bearer {API_KEY}"


def test_a_company_that_does_not_know_us_is_down_with_what_to_do(company, answers):
    company.answer("GET /v1/collections/doctor", {"code": "unauthorized"}, status=401)

    answer = answers(simulator=simulator_at(company.base_url))["payments simulator"]

    assert answer.state is AnswerState.DOWN
    assert answer.detail == "NoAnswer: Simulator: HTTP 401 to the question for a collection."
    assert answer.advice.startswith("Check NTC_PAYMENT_PROVIDERS['simulator']: ")


def test_a_company_that_repeats_our_key_tells_it_to_nobody(company, answers):
    refusal = {"message": f"Unknown key: {API_KEY}"}
    company.answer("POST /generate-token", refusal, status=401)

    answer = answers(clickpesa=clickpesa_at(company.base_url))["payments clickpesa"]

    assert answer.state is AnswerState.DOWN
    assert "Unknown key" in answer.detail
    assert API_KEY not in answer.detail


def test_a_company_that_is_away_is_down(answers):
    answer = answers(simulator=simulator_at("http://127.0.0.1:9"))["payments simulator"]

    assert answer.state is AnswerState.DOWN
    assert answer.detail.startswith("NotSent: ")


def test_a_provider_that_cannot_be_built_is_down_without_a_call(answers):
    answer = answers(simulator={"base_url": "http://127.0.0.1:9"})["payments simulator"]

    assert answer.state is AnswerState.DOWN
    assert "has no 'api_key'" in answer.detail


def test_a_company_that_can_be_asked_nothing_harmless_is_not_asked(answers):
    answer = answers(hosted={"class": "tests.companies.HostedProvider"})["payments hosted"]

    assert (answer.state, answer.detail) == (
        AnswerState.NOT_ASKED,
        "it can be asked nothing harmless",
    )


def test_polar_is_asked_for_one_order(company):
    company.answer("GET /v1/orders/", listed())

    provider_at(company.base_url).prove_access()

    [call] = company.calls
    assert call.query == {"limit": "1"}


def test_polar_with_another_servers_token_is_down(company):
    company.answer("GET /v1/orders/", {"error": "invalid_token"}, status=401)

    with pytest.raises(HttpFailure, match="401"):
        provider_at(company.base_url).prove_access()
