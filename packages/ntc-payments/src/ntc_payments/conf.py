"""The `NTC_PAYMENT*` settings and the providers built from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ntc_core.conf import AppSettings
from ntc_core.registry import ProviderRegistry

from ntc_payments.providers.base import PaymentProvider

__all__ = ["PaymentsSettings", "payments_settings", "provider_registry"]

KNOWN_PROVIDERS: Mapping[str, str] = {
    "beem": "ntc_payments.providers.beem.BeemProvider",
    "clickpesa": "ntc_payments.providers.clickpesa.ClickPesaProvider",
    "polar": "ntc_payments.providers.polar.PolarProvider",
    "selcom": "ntc_payments.providers.selcom.SelcomProvider",
    "simulator": "ntc_payments.providers.simulator.SimulatorProvider",
}


class PaymentsSettings(AppSettings):
    """What a project may decide about ntc_payments."""

    #: Provider name -> its options; the order is the order of choice.
    PAYMENT_PROVIDERS: Mapping[str, Mapping[str, Any]] = {}
    #: Method -> seconds after which we no longer wait for the money.
    PAYMENT_EXPIRES_AFTER_SECONDS: Mapping[str, int] = {
        "mobile_push": 30 * 60,
        "card": 60 * 60,
        "hosted_checkout": 60 * 60,
        "control_number": 3 * 24 * 60 * 60,
    }
    #: A call to a company that has not come back for so long is taken for dead. Longer
    #: than any provider's total deadline.
    PAYMENT_SEND_LEASE_SECONDS: float = 60
    #: So many prompts may wait on one phone, whoever asked for them, and so many of one payer.
    #: Without a limit anybody who signs up can fill a stranger's screen.
    PAYMENT_MAX_LIVE_PER_PHONE: int = 3
    #: Where a checkout page may send the payer back to: host names as in ALLOWED_HOSTS
    #: (".example.com": the subdomains too). Empty: a `return_url` is refused.
    PAYMENT_RETURN_HOSTS: Sequence[str] = ()
    #: `accept`, `auto_refund` or `hold` money for a payment that we no longer wait for; or a
    #: dict of the part of `purpose` before the colon -> one of these. What it leaves out is
    #: accepted.
    PAYMENT_LATE_SUCCESS_POLICY: str | Mapping[str, str] = "accept"
    #: `hold` or `auto_refund` a second charge; or a dict, as above. What it leaves out is held.
    PAYMENT_DUPLICATE_POLICY: str | Mapping[str, str] = "hold"
    #: Dotted path of a function (user) -> `ntc_payments.types.Payer`: what a company is told
    #: about who pays.
    PAYMENT_PAYER_DETAILS: str = "ntc_payments.services.payers.describe_payer"
    #: Dotted path of a function (payment) -> `ntc_payments.types.TimelineNote`s: what the project
    #: adds to a payment's timeline in the admin, such as the messages it sent. Empty: nothing.
    PAYMENT_TIMELINE_NOTES: str = ""


payments_settings = PaymentsSettings()

provider_registry: ProviderRegistry[PaymentProvider] = ProviderRegistry(
    setting="NTC_PAYMENT_PROVIDERS",
    base=PaymentProvider,  # type: ignore[type-abstract]  # only ever asked with issubclass()
    known=KNOWN_PROVIDERS,
)
