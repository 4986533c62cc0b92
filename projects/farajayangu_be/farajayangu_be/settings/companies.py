"""The companies we talk to, as the environment names them: who, in which order, with which keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .environment import Environment, refuse

__all__ = ["beem_otp", "message_providers", "payment_providers", "return_hosts"]

Options = dict[str, Any]
Providers = dict[str, Options]

WEBHOOK_PATH = "/api/v1/webhooks/payments"


@dataclass(frozen=True, kw_only=True)
class _Company:
    """The options of a payment company: `SELCOM_API_KEY` is the option `api_key` of `selcom`."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    #: Option -> where the company's API moves real money; what is used unless a variable says so.
    live_urls: Mapping[str, str]
    #: Whether a call tells the company where its callback goes; else its dashboard does.
    is_told_callback_url: bool = True


_COMPANIES = {
    "selcom": _Company(
        required=("api_key", "api_secret", "vendor"),
        optional=("float_vendor", "pin", "c2b_token"),
        live_urls={"base_url": "https://apigw.selcommobile.com"},
    ),
    "clickpesa": _Company(
        required=("client_id", "api_key"),
        optional=("checksum_key", "checksum_method"),
        live_urls={"base_url": "https://api.clickpesa.com/third-parties"},
    ),
    "beem": _Company(
        required=("api_key", "secret_key"),
        optional=(
            "secure_token",
            "reference_prefix",
            "paybill_number",
            "disbursement_base_url",
            "disbursement_account",
            "disbursement_wallet_code",
        ),
        live_urls={
            "checkout_base_url": "https://checkout.beem.africa",
            "balance_base_url": "https://apitopup.beem.africa",
        },
        is_told_callback_url=False,
    ),
    "polar": _Company(
        required=("access_token", "webhook_secrets", "product_id"),
        optional=("api_version",),
        live_urls={"base_url": "https://api.polar.sh"},
        is_told_callback_url=False,
    ),
}
# Scheme -> how the connection is encrypted, and the usual port for that.
_SMTP_SCHEMES = {"smtp": ("none", 25), "smtp+tls": ("starttls", 587), "smtp+ssl": ("tls", 465)}


def payment_providers(
    env: Environment,
    *,
    public_url: str,
    default: Sequence[str],
    simulator: Mapping[str, str],
    may_move_money: bool = True,
) -> Providers:
    """Read PAYMENT_PROVIDERS and the options of each; the first one is the default choice.

    Args:
        env: where the variables are.
        public_url: under which the companies reach us with their callbacks.
        default: the names when the variable is not set.
        simulator: values for those SIMULATOR_* variables that are not set.
        may_move_money: False refuses the addresses where a call moves real money: most of
            these companies have no sandbox, so a mistake of development would be a charge.
    """
    webhooks = f"{public_url}{WEBHOOK_PATH}"
    providers = {}
    for name in _known_names(
        env, "PAYMENT_PROVIDERS", known=("simulator", *_COMPANIES), default=default
    ):
        if name == "simulator":
            providers[name] = _simulator(env, simulator, callback_url=f"{webhooks}/{name}/")
        else:
            providers[name] = _company(env, name, webhooks=webhooks, may_move_money=may_move_money)
    return providers


def return_hosts(*urls: str) -> list[str]:
    """Return the hosts of our own addresses: a checkout page may send a payer back there."""
    return sorted({urlsplit(url).hostname or "" for url in urls} - {""})


def message_providers(
    env: Environment, variable: str, *, default: Sequence[str], mailbox: Path | None
) -> Providers:
    """Read EMAIL_PROVIDERS or SMS_PROVIDERS: the order is the order of failover.

    `mailbox` is the folder of the local mailbox, or None where messages must not be kept.
    """
    known: dict[str, Callable[[], Options]] = {}
    if variable == "EMAIL_PROVIDERS":
        known["smtp"] = lambda: _smtp(env)
        known["ses"] = lambda: _ses(env)
        known["azure"] = lambda: _azure(env, sender=env.text("ACS_EMAIL_SENDER"))
    else:
        known["beem"] = lambda: _beem_sms(env)
        known["sns"] = lambda: _sns(env)
        known["azure"] = lambda: _azure(
            env, sender=env.required("ACS_SMS_SENDER", expected="a sender id such as FARAJA")
        )
    if mailbox is not None:
        known["mailbox"] = lambda: {"directory": str(mailbox)}
    return {
        name: known[name]() for name in _known_names(env, variable, known=known, default=default)
    }


def beem_otp(env: Environment) -> Options:
    """Read the options of Beem's own OTP product; none unless BEEM_OTP_APP_ID is set: it is off."""
    if not env.text("BEEM_OTP_APP_ID"):
        return {}
    return {
        **_beem_keys(env, product="otp"),
        "app_id": env.whole_number("BEEM_OTP_APP_ID", default=0),
        **_given(base_url=env.web_url("BEEM_OTP_BASE_URL")),
    }


def _simulator(env: Environment, values: Mapping[str, str], *, callback_url: str) -> Options:
    options = {
        "base_url": env.web_url("SIMULATOR_BASE_URL", default=values.get("base_url", "")),
        "api_key": env.text("SIMULATOR_API_KEY", default=values.get("api_key", "")),
        "webhook_secret": env.text(
            "SIMULATOR_WEBHOOK_SECRET", default=values.get("webhook_secret", "")
        ),
        "callback_url": callback_url,
    }
    return _without_gaps(options, prefix="simulator")


def _company(env: Environment, name: str, *, webhooks: str, may_move_money: bool) -> Options:
    company = _COMPANIES[name]
    prefix = name.upper()
    options: Options = {
        option: env.required(f"{prefix}_{option.upper()}", expected="the value they gave you")
        for option in company.required
    }
    for option, live_url in company.live_urls.items():
        variable = f"{prefix}_{option.upper()}"
        options[option] = env.web_url(variable, default=live_url)
        if not may_move_money and options[option] == live_url:
            raise refuse(
                variable,
                "is where real money moves, and this is development",
                expected="the address of the simulator, such as "
                f"http://127.0.0.1:8001/{name}, or of a sandbox",
            )
    for option in company.optional:
        read = env.web_url if option.endswith("_url") else env.text
        if value := read(f"{prefix}_{option.upper()}"):
            options[option] = value
    if company.is_told_callback_url:
        secret = env.text("WEBHOOK_PATH_SECRET")
        options["callback_url"] = f"{webhooks}/{name}{f'-{secret}' if secret else ''}/"
    return options


def _smtp(env: Environment) -> Options:
    """Read EMAIL_URL, spelled as django-environ spells it."""
    expected = "a URL such as smtp+tls://user:password@mail.example.com:587"
    url = urlsplit(env.required("EMAIL_URL", expected=expected))
    if url.scheme not in _SMTP_SCHEMES or not url.hostname:
        raise refuse("EMAIL_URL", "is not the URL of a mail server", expected=expected)
    security, usual_port = _SMTP_SCHEMES[url.scheme]
    try:
        port = url.port or usual_port
    except ValueError as error:
        raise refuse("EMAIL_URL", "has no valid port", expected=expected) from error
    return {
        "host": url.hostname,
        "port": port,
        "username": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "security": security,
    }


def _beem_sms(env: Environment) -> Options:
    return {
        **_beem_keys(env, product="sms"),
        "sender_id": env.required("BEEM_SENDER_ID", expected="a registered name such as FARAJA"),
        **_given(
            # Beem does not sign: who knows the path is believed.
            webhook_secret=env.text("WEBHOOK_PATH_SECRET"),
            sms_base_url=env.web_url("BEEM_SMS_BASE_URL"),
            dlr_base_url=env.web_url("BEEM_DLR_BASE_URL"),
        ),
    }


def _beem_keys(env: Environment, *, product: str) -> Options:
    """Return the product's own pair of keys, else the one that Beem gave for all."""
    prefix = f"BEEM_{product.upper()}"
    own_key, own_secret = f"{prefix}_API_KEY", f"{prefix}_SECRET_KEY"
    has_own = bool(env.text(own_key)) or bool(env.text(own_secret))
    names = (own_key, own_secret) if has_own else ("BEEM_API_KEY", "BEEM_SECRET_KEY")
    expected = "the value they gave you"
    return {
        "api_key": env.required(names[0], expected=expected),
        "secret_key": env.required(names[1], expected=expected),
    }


def _ses(env: Environment) -> Options:
    return _aws(env) | _given(
        configuration_set=env.text("SES_CONFIGURATION_SET"), topic_arns=env.words("SES_TOPIC_ARNS")
    )


def _sns(env: Environment) -> Options:
    return _aws(env) | _given(
        sender_id=env.text("SNS_SENDER_ID"),
        sms_type=env.text("SNS_SMS_TYPE"),
        max_price_usd=env.text("SNS_MAX_PRICE_USD"),
    )


def _aws(env: Environment) -> Options:
    """Read what SES and SNS share. Without a key the SDK looks for the machine's role."""
    return {
        "region": env.required("AWS_REGION", expected="a region such as eu-west-1"),
        **_given(
            access_key_id=env.text("AWS_ACCESS_KEY_ID"),
            secret_access_key=env.text("AWS_SECRET_ACCESS_KEY"),
            endpoint_url=env.web_url("AWS_ENDPOINT_URL"),
        ),
    }


def _azure(env: Environment, *, sender: str) -> Options:
    env.required("ACS_ENDPOINT", expected="a URL such as https://name.communication.azure.com")
    return {
        "endpoint": env.web_url("ACS_ENDPOINT"),
        "access_key": env.required("ACS_ACCESS_KEY", expected="a key of the resource"),
        **_given(
            sender=sender,
            # Event Grid does not sign: who knows the path is believed.
            webhook_secret=env.text("WEBHOOK_PATH_SECRET"),
            event_resources=env.words("ACS_EVENT_RESOURCES"),
        ),
    }


def _given(**options: Any) -> Options:
    """Return the options that are set; the provider has defaults for the others."""
    return {name: value for name, value in options.items() if value}


def _known_names(
    env: Environment, variable: str, *, known: Collection[str], default: Sequence[str]
) -> list[str]:
    names = env.words(variable, default=default)
    for name in names:
        if name not in known:
            raise refuse(
                variable,
                f"names {name[:32]!r}, which cannot be used here",
                expected=f"a comma list of {', '.join(known) or 'nothing yet'}",
            )
    return names


def _without_gaps(options: Options, *, prefix: str) -> Options:
    for option, value in options.items():
        if not value:
            raise refuse(
                f"{prefix}_{option}".upper(),
                "is not set",
                expected="the value the company gave you",
            )
    return options
