"""What the tests of the ClickPesa provider ask for, and the constants of its paths."""

from __future__ import annotations

import copy

from ntc_core.money import Money
from ntc_payments.providers.clickpesa import ClickPesaProvider
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Payer,
    PaymentMethod,
)

from tests.clickpesa_company import BODIES

KEY = "invented-checksum-key-01"
REFERENCE = "ORDTEST0001"
PREVIEW = "/payments/preview-ussd-push-request"
INITIATE = "/payments/initiate-ussd-push-request"
CARD = "/payments/initiate-card-payment"
CHECKOUT = "/checkout-link/generate-checkout-url"
BILL = "/billpay/create-order-control-number"
QUERY = f"/payments/{REFERENCE}"


def make_provider(base_url: str, **changes) -> ClickPesaProvider:
    """Return the provider with invented keys."""
    values = {
        "base_url": base_url,
        "client_id": "client",
        "api_key": "key",
        "checksum_key": KEY,
        "total_timeout_seconds": 5.0,
        **changes,
    }
    return ClickPesaProvider(**values)


def order(method: PaymentMethod = PaymentMethod.MOBILE_PUSH, **changes) -> AttemptRequest:
    """Return an attempt."""
    values = {
        "reference": REFERENCE,
        "money": Money.from_major(10000, "TZS"),
        "method": method,
        "phone_e164": "+255700000001",
        "description": "Ada",
        "return_url": "",
        "payer": Payer(name="Asha Juma", email="asha@example.test"),
        **changes,
    }
    return AttemptRequest(**values)


def handle(method: str = "", *, payer_code: str = "") -> CallHandle:
    return CallHandle(reference=REFERENCE, method=method, payer_code=payer_code)


def row(**changes) -> dict:
    """Return the documented row of a query, changed."""
    return {**copy.deepcopy(BODIES["query_payment_ok"][0]), **changes}
