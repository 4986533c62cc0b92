"""How the environment names the companies we talk to."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from farajayangu_be.settings.companies import beem_otp, message_providers, payment_providers
from farajayangu_be.settings.environment import Environment
from ntc_notify.checks import check_providers
from ntc_notify.registry import find_beem_otp
from ntc_payments.selectors import list_providers

from .processes import PROJECT_DIR


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


#: What each company that carries messages wants to know at least, and what else it may be told.
MESSAGE_REQUIRED = {
    "BEEM_API_KEY": "ufunguo",
    "BEEM_SECRET_KEY": "siri-ya-beem",
    "BEEM_SENDER_ID": "DUKA",
    "AWS_REGION": "eu-west-1",
    "ACS_ENDPOINT": "https://faraja.communication.azure.com",
    "ACS_ACCESS_KEY": "c2VjcmV0",
    "ACS_SMS_SENDER": "FARAJA",
}
MESSAGE_OPTIONAL = {
    "BEEM_SMS_BASE_URL": "http://127.0.0.1:8011/beem",
    "BEEM_DLR_BASE_URL": "http://127.0.0.1:8012/beem",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00",
    "AWS_SECRET_ACCESS_KEY": "s",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:5555",
    "SES_CONFIGURATION_SET": "faraja",
    "SES_TOPIC_ARNS": "arn:aws:sns:eu-west-1:123456789012:a, arn:aws:sns:eu-west-1:123456789012:b",
    "SNS_SENDER_ID": "FARAJA",
    "SNS_SMS_TYPE": "Promotional",
    "SNS_MAX_PRICE_USD": "0.30",
    "ACS_EMAIL_SENDER": "salamu@farajayangu.example",
    "ACS_EVENT_RESOURCES": "/subscriptions/1/faraja",
    "WEBHOOK_PATH_SECRET": "a1b2c3",
}


@pytest.fixture
def _message_companies(monkeypatch):
    monkeypatch.setenv("EMAIL_PROVIDERS", "ses, azure")
    monkeypatch.setenv("SMS_PROVIDERS", "beem, sns, azure")
    for name, value in MESSAGE_REQUIRED.items():
        monkeypatch.setenv(name, value)


def messages(env: Environment | None = None) -> dict[str, dict[str, dict[str, object]]]:
    """Read both lists as production does."""
    env = env or Environment()
    return {
        variable: message_providers(env, variable, default=[], mailbox=None)
        for variable in ("EMAIL_PROVIDERS", "SMS_PROVIDERS")
    }


@pytest.mark.usefixtures("_message_companies")
@pytest.mark.parametrize("optional", [{}, MESSAGE_OPTIONAL])
def test_message_providers_take_what_the_environment_says(settings, monkeypatch, optional):
    """Each is built from its options: a name that a provider does not know would be refused."""
    for name, value in optional.items():
        monkeypatch.setenv(name, value)
    read = messages()
    settings.NTC_EMAIL_PROVIDERS = read["EMAIL_PROVIDERS"]
    settings.NTC_SMS_PROVIDERS = read["SMS_PROVIDERS"]
    settings.NTC_WEBHOOK_PATH_SECRET = Environment().text("WEBHOOK_PATH_SECRET")

    assert check_providers() == []
    assert list(read["EMAIL_PROVIDERS"]) == ["ses", "azure"]
    assert list(read["SMS_PROVIDERS"]) == ["beem", "sns", "azure"]
    told = str(read)
    assert all(value in told for value in MESSAGE_REQUIRED.values())
    parts = [part.strip() for value in optional.values() for part in value.split(",")]
    assert all(part in told for part in parts)


@pytest.mark.usefixtures("_message_companies")
def test_every_variable_of_a_message_company_is_in_the_example(monkeypatch):
    env = Listening()
    messages(env)
    monkeypatch.setenv("BEEM_OTP_APP_ID", "1")
    beem_otp(env)
    example = (PROJECT_DIR.parents[1] / ".env.example").read_text()

    listed = {line.partition("=")[0] for line in example.splitlines() if "=" in line}

    assert {*MESSAGE_REQUIRED, *MESSAGE_OPTIONAL} <= env.asked
    assert env.asked <= listed, sorted(env.asked - listed)


@pytest.mark.usefixtures("_message_companies")
@pytest.mark.parametrize("variable", MESSAGE_REQUIRED)
def test_a_missing_key_of_a_message_company_names_itself(monkeypatch, variable):
    monkeypatch.delenv(variable)

    with pytest.raises(ImproperlyConfigured, match=f"^{variable} is not set"):
        messages()


def test_a_product_of_beem_may_have_keys_of_its_own(monkeypatch):
    monkeypatch.setenv("SMS_PROVIDERS", "beem")
    for name in ("BEEM_API_KEY", "BEEM_SECRET_KEY", "BEEM_SENDER_ID"):
        monkeypatch.setenv(name, MESSAGE_REQUIRED[name])
    monkeypatch.setenv("BEEM_SMS_API_KEY", "ufunguo-wa-sms")

    # Half a pair is a mistake, not a mixture of two.
    with pytest.raises(ImproperlyConfigured, match=r"^BEEM_SMS_SECRET_KEY is not set"):
        messages()
    monkeypatch.setenv("BEEM_SMS_SECRET_KEY", "siri-ya-sms")

    options = messages()["SMS_PROVIDERS"]["beem"]
    assert (options["api_key"], options["secret_key"]) == ("ufunguo-wa-sms", "siri-ya-sms")


def test_beems_own_codes_are_off_unless_an_application_is_named(settings, monkeypatch):
    for name in ("BEEM_API_KEY", "BEEM_SECRET_KEY"):
        monkeypatch.setenv(name, MESSAGE_REQUIRED[name])
    assert beem_otp(Environment()) == {}

    monkeypatch.setenv("BEEM_OTP_APP_ID", "7")
    monkeypatch.setenv("BEEM_OTP_BASE_URL", "http://127.0.0.1:8011/beem")
    settings.NTC_BEEM_OTP = beem_otp(Environment())

    assert settings.NTC_BEEM_OTP["app_id"] == 7
    assert find_beem_otp() is not None


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


#: What every company wants to know at least.
REQUIRED = {
    "SELCOM_API_KEY": "k",
    "SELCOM_API_SECRET": "s",
    "SELCOM_VENDOR": "TILL1",
    "CLICKPESA_CLIENT_ID": "c",
    "CLICKPESA_API_KEY": "k",
    "BEEM_API_KEY": "k",
    "BEEM_SECRET_KEY": "s",
    "POLAR_ACCESS_TOKEN": "t",
    "POLAR_WEBHOOK_SECRETS": "whsec_c2VjcmV0",
    "POLAR_PRODUCT_ID": "01999999-9999-7999-8999-999999999999",
}
COMPANIES = ("selcom", "clickpesa", "beem", "polar")


class Listening(Environment):
    """Notes which variables are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def text(self, name: str, *, default: str = "") -> str:
        self.asked.add(name)
        return super().text(name, default=default)


def payments(env: Environment | None = None, **choices):
    """Read PAYMENT_PROVIDERS as production does."""
    return payment_providers(
        env or Environment(),
        **{"public_url": "https://api.example.com", "default": [], "simulator": {}, **choices},
    )


@pytest.fixture
def _companies(monkeypatch):
    monkeypatch.setenv("PAYMENT_PROVIDERS", ", ".join(COMPANIES))
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_companies")
def test_what_the_environment_says_is_what_the_providers_take(settings):
    """Each option has the name that the provider gives it, and the order is the order of choice."""
    settings.NTC_PAYMENT_PROVIDERS = payments()

    providers = list_providers()

    assert [provider.name for provider in providers] == list(COMPANIES)


@pytest.mark.usefixtures("_companies")
def test_every_variable_of_a_company_is_in_the_example():
    env = Listening()
    payments(env)
    example = (PROJECT_DIR.parents[1] / ".env.example").read_text()

    listed = {line.partition("=")[0] for line in example.splitlines() if "=" in line}

    assert set(REQUIRED) <= env.asked
    assert env.asked <= listed, sorted(env.asked - listed)


@pytest.mark.usefixtures("_companies")
@pytest.mark.parametrize("variable", REQUIRED)
def test_a_missing_key_names_itself(monkeypatch, variable):
    monkeypatch.delenv(variable)

    with pytest.raises(ImproperlyConfigured, match=f"^{variable} is not set"):
        payments()


@pytest.mark.usefixtures("_companies")
def test_development_never_talks_to_where_money_moves(monkeypatch):
    """Most of these companies have no sandbox."""
    simulated = {
        "SELCOM_BASE_URL": "http://127.0.0.1:8001/selcom",
        "CLICKPESA_BASE_URL": "http://127.0.0.1:8001/clickpesa",
        "BEEM_CHECKOUT_BASE_URL": "http://127.0.0.1:8001/beem",
        "BEEM_BALANCE_BASE_URL": "http://127.0.0.1:8001/beem",
        "POLAR_BASE_URL": "http://127.0.0.1:8001/polar",
    }
    for variable in simulated:
        for name, value in simulated.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv(variable)
        with pytest.raises(ImproperlyConfigured, match=f"^{variable} is where real money moves"):
            payments(may_move_money=False)
    monkeypatch.setenv(variable, simulated[variable])

    assert set(payments(may_move_money=False)) == set(COMPANIES)


@pytest.mark.usefixtures("_companies")
@pytest.mark.parametrize(("secret", "path"), [("", "clickpesa"), ("a1b2c3", "clickpesa-a1b2c3")])
def test_a_company_is_told_the_path_with_the_secret(monkeypatch, secret, path):
    monkeypatch.setenv("WEBHOOK_PATH_SECRET", secret)

    url = payments()["clickpesa"]["callback_url"]

    assert url == f"https://api.example.com/api/v1/webhooks/payments/{path}/"
