"""How the environment names the companies we talk to."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from farajayangu_be.settings.companies import message_providers, payment_providers
from farajayangu_be.settings.environment import Environment


def emails(**choices):
    """Read EMAIL_PROVIDERS as production does."""
    return message_providers(
        Environment(), "EMAIL_PROVIDERS", **{"default": ["smtp"], "mailbox": None, **choices}
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "smtp+tls://faraja%40example.com:p%3Aass@mail.example.com",
            ("mail.example.com", 587, "faraja@example.com", "p:ass", "starttls"),
        ),
        (
            "smtp+ssl://u:p@mail.example.com:4650",
            ("mail.example.com", 4650, "u", "p", "tls"),
        ),
        ("smtp://127.0.0.1", ("127.0.0.1", 25, "", "", "none")),
    ],
)
def test_a_mail_server_is_one_url(monkeypatch, url, expected):
    monkeypatch.setenv("EMAIL_URL", url)

    options = emails()["smtp"]

    names = ("host", "port", "username", "password", "security")
    assert tuple(options[name] for name in names) == expected


@pytest.mark.parametrize("url", ["", "mail.example.com", "smtp+tls://", "smtp://h:x", "imap://h"])
def test_another_mail_server_is_refused(monkeypatch, url):
    monkeypatch.setenv("EMAIL_URL", url)

    with pytest.raises(ImproperlyConfigured, match=r"^EMAIL_URL .*smtp\+tls://"):
        emails()


def test_the_order_of_the_list_is_the_order_of_failover(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("EMAIL_PROVIDERS", "mailbox, smtp")
    monkeypatch.setenv("EMAIL_URL", "smtp://127.0.0.1")

    assert list(emails(mailbox=tmp_path)) == ["mailbox", "smtp"]


def test_the_local_mailbox_is_no_choice_where_it_must_not_be(monkeypatch):
    monkeypatch.setenv("EMAIL_PROVIDERS", "mailbox")

    with pytest.raises(ImproperlyConfigured, match=r"^EMAIL_PROVIDERS names 'mailbox'"):
        emails()


def test_the_simulator_calls_back_under_our_public_url(monkeypatch):
    monkeypatch.setenv("SIMULATOR_BASE_URL", "http://simulator.internal:8001/")
    monkeypatch.setenv("SIMULATOR_API_KEY", "a")

    providers = payment_providers(
        Environment(),
        public_url="https://api.example.com",
        default=["simulator"],
        simulator={"base_url": "http://127.0.0.1:1", "webhook_secret": "b"},
    )

    assert providers == {
        "simulator": {
            "base_url": "http://simulator.internal:8001",
            "api_key": "a",
            "webhook_secret": "b",
            "callback_url": "https://api.example.com/api/v1/webhooks/payments/simulator/",
        }
    }
