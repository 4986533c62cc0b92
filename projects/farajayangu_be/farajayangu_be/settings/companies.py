"""The companies we talk to, as the environment names them: who, in which order, with which keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from .environment import Environment, refuse

__all__ = ["message_providers", "payment_providers", "return_hosts"]

Options = dict[str, Any]
Providers = dict[str, Options]

WEBHOOK_PATH = "/api/v1/webhooks/payments"
# Scheme -> how the connection is encrypted, and the usual port for that.
_SMTP_SCHEMES = {"smtp": ("none", 25), "smtp+tls": ("starttls", 587), "smtp+ssl": ("tls", 465)}


def payment_providers(
    env: Environment, *, public_url: str, default: Sequence[str], simulator: Mapping[str, str]
) -> Providers:
    """Read PAYMENT_PROVIDERS and the options of each; the first one is the default choice.

    Args:
        env: where the variables are.
        public_url: under which the companies reach us with their callbacks.
        default: the names when the variable is not set.
        simulator: values for those SIMULATOR_* variables that are not set.
    """
    known = {
        "simulator": lambda: {
            "base_url": env.web_url("SIMULATOR_BASE_URL", default=simulator.get("base_url", "")),
            "api_key": env.text("SIMULATOR_API_KEY", default=simulator.get("api_key", "")),
            "webhook_secret": env.text(
                "SIMULATOR_WEBHOOK_SECRET", default=simulator.get("webhook_secret", "")
            ),
            "callback_url": f"{public_url}{WEBHOOK_PATH}/simulator/",
        },
    }
    return {
        name: _without_gaps(known[name](), prefix=name)
        for name in _known_names(env, "PAYMENT_PROVIDERS", known=known, default=default)
    }


def return_hosts(*urls: str) -> list[str]:
    """Return the hosts of our own addresses: a checkout page may send a payer back there."""
    return sorted({urlsplit(url).hostname or "" for url in urls} - {""})


def message_providers(
    env: Environment, variable: str, *, default: Sequence[str], mailbox: Path | None
) -> Providers:
    """Read EMAIL_PROVIDERS or SMS_PROVIDERS: the order is the order of failover.

    `mailbox` is the folder of the local mailbox, or None where messages must not be kept.
    """
    known = {}
    if variable == "EMAIL_PROVIDERS":
        known["smtp"] = lambda: _smtp(env)
    if mailbox is not None:
        known["mailbox"] = lambda: {"directory": str(mailbox)}
    return {
        name: known[name]() for name in _known_names(env, variable, known=known, default=default)
    }


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


def _known_names(
    env: Environment, variable: str, *, known: Mapping[str, Any], default: Sequence[str]
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
