"""What Polar's webhooks prove and say, from the files of its sheet."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from ntc_core.money import Money
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest
from ntc_payments.types import Claim, FailureCode, Observation, Subject, Trust
from standardwebhooks import Webhook

from tests.polar_samples import (
    CHECKOUT_ID,
    ORDER_ID,
    REFERENCE,
    SECRET,
    VECTORS,
    delivery,
    event,
    polar_checkout,
    polar_order,
    polar_refund,
    provider_at,
)

# Signatures.


def _request(row: dict[str, Any], body: bytes) -> WebhookRequest:
    return WebhookRequest(
        method="POST",
        path="/",
        headers=row["headers"],
        query={},
        body=body,
        received_at=datetime.fromtimestamp(row["now"], UTC),
    )


@pytest.mark.parametrize("row", VECTORS["signatures"], ids=lambda row: row["name"])
def test_signature_is_judged_as_the_sheet_says(row, caplog):
    body = base64.b64decode(row["body_base64"])
    provider = provider_at(webhook_secrets=[row["secret"]])
    assert body == row["body_utf8"].encode()

    if row["expected"] == "invalid":
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(_request(row, body))
        return
    with caplog.at_level(logging.INFO, "ntc_payments"):
        verified = provider.open_webhook(_request(row, body))

    [record] = caplog.records
    signed_as = "legacy" if "signed the legacy way" in row["name"] else row["secret_kind"]
    assert record.key == signed_as
    headers = {name.lower(): value for name, value in row["headers"].items()}
    assert verified.dedupe_key == headers["webhook-id"]
    assert verified.event_type == json.loads(body)["type"]


@pytest.mark.parametrize("secret_kind", ["standard", "legacy"])
@pytest.mark.parametrize("length", [1, 24, 64])
def test_what_the_standards_own_library_signs_is_accepted(secret_kind, length):
    """Legacy: that library is handed the whole secret in base64."""
    secret = "whsec_" + base64.b64encode(bytes(range(length))).decode()
    seed = secret if secret_kind == "standard" else base64.b64encode(secret.encode()).decode()
    body = event("customer.updated", {"name": "Neema Ng\u2019wanakilala 🙏"})
    request = delivery(body)
    sent_at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
    signature = Webhook(seed).sign("evt_1", sent_at, body.decode())
    headers = {**request.headers, "webhook-signature": signature}
    signed = dataclasses.replace(request, headers=headers)

    assert provider_at(webhook_secrets=[secret]).open_webhook(signed).dedupe_key == "evt_1"
    with pytest.raises(SignatureInvalid):
        provider_at(webhook_secrets=["whsec_b3RoZXI="]).open_webhook(signed)


def test_what_is_accepted_here_is_accepted_by_the_standards_own_library():
    request = delivery(event("order.paid", polar_order()))

    provider_at().open_webhook(request)
    Webhook(SECRET).verify(request.body, dict(request.headers))


def test_published_example_of_both_derivations():
    """From an open repository that met both in production."""
    body = '{"type":"subscription.updated","api_version":"2026-04","data":{"name":"Nørthstar"}}'
    provider = provider_at(webhook_secrets="whsec_cWl2by1wb2xhci1oZXJtZXRpYy1zaWduaW5nLWtleS0zMg==")
    for signature in (
        "v1,RpGVXzzTogNejDJbj58klZnhEDQlZNnkVYynDR+Bk1g=",
        "v1,O7wgTQpy7l17vVvMWDUYVwX8S5J4QEsV5mzoMzppiyM=",
    ):
        headers = {
            "webhook-id": "evt_qivo",
            "webhook-timestamp": "1789905600",
            "webhook-signature": signature,
        }
        row = {"headers": headers, "now": 1789905600}
        assert provider.open_webhook(_request(row, body.encode())).dedupe_key == "evt_qivo"


def test_any_of_several_secrets_proves():
    """While the secret of the endpoint is changed; also as one text from the environment."""
    request = delivery(event("order.paid", polar_order()))

    for secrets in (["whsec_b3RoZXI=", SECRET], f"whsec_b3RoZXI=, {SECRET}"):
        assert provider_at(webhook_secrets=secrets).open_webhook(request).event_type == "order.paid"


@pytest.mark.parametrize("secrets", ["", [], [""], [SECRET, " "], f"{SECRET},"])
def test_empty_secret_is_refused_at_the_start(secrets):
    """Its key would be known to everybody."""
    with pytest.raises(ValueError, match="POLAR_WEBHOOK_SECRETS"):
        provider_at(webhook_secrets=secrets)


def test_secret_of_only_a_prefix_has_no_empty_key():
    request = delivery(event("order.paid", polar_order()))
    signed = f"evt_1.{request.headers['webhook-timestamp']}.".encode() + request.body
    signature = f"v1,{base64.b64encode(hmac.digest(b'', signed, 'sha256')).decode()}"
    headers = {**request.headers, "webhook-signature": signature}

    with pytest.raises(SignatureInvalid):
        provider_at(webhook_secrets=["whsec_"]).open_webhook(
            dataclasses.replace(request, headers=headers)
        )


@pytest.mark.parametrize("timestamp", ["nan", "inf", "1e999", "", "now", "\ud800"])
def test_time_that_is_no_number_is_refused(timestamp):
    with pytest.raises(SignatureInvalid):
        provider_at().open_webhook(delivery(b"{}", **{"webhook-timestamp": timestamp}))


@pytest.mark.parametrize("signature", ["", "v1,", "v1,%%%", "v1,ü", "v2,aGk=", "v1", ","])
def test_header_without_a_usable_signature_is_refused(signature):
    with pytest.raises(SignatureInvalid):
        provider_at().open_webhook(delivery(b"{}", **{"webhook-signature": signature}))


@pytest.mark.parametrize("seconds", [-301, 301])
@time_machine.travel(datetime(2026, 11, 23, tzinfo=UTC), tick=False)
def test_replay_outside_the_window_is_refused(seconds):
    request = delivery(event("order.paid", polar_order()))
    at = request.received_at + timedelta(seconds=seconds)
    inside = request.received_at + timedelta(seconds=seconds - (1 if seconds > 0 else -1))

    provider_at().open_webhook(dataclasses.replace(request, received_at=inside))
    with pytest.raises(SignatureInvalid):
        provider_at().open_webhook(dataclasses.replace(request, received_at=at))


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"type": 5}', b'{"type": "a", "type": "b"}'])
def test_proven_body_in_another_shape_is_unreadable(body):
    with pytest.raises(PayloadUnreadable):
        provider_at().open_webhook(delivery(body))


# What webhooks say.


def test_full_payloads_say_what_the_sheet_says():
    provider = provider_at()
    said = {
        row["name"]: provider.read_webhook(row["body_utf8"].encode())
        for row in VECTORS["payloads"]
        if provider.open_webhook(_request(row, row["body_utf8"].encode()))
    }

    at = datetime(2026, 11, 22, 23, 59, 57, 120000, tzinfo=UTC)
    paid = Observation(
        reference=REFERENCE,
        claim=Claim.SUCCESS,
        money=Money.from_major(29_500, "TZS"),
        provider_ref=CHECKOUT_ID,
        occurred_at=at,
    )
    assert said["order.paid"] == [paid]
    # The session only points to the order, so it is a hint.
    assert said["checkout.updated"] == [dataclasses.replace(paid, trust=Trust.HINT)]
    assert said["subscription.canceled"] == []
    assert said["refund.updated"] == [
        Observation(
            reference="RF-1",
            claim=Claim.SUCCESS,
            subject=Subject.REFUND,
            money=Money.from_major(5_900, "TZS"),
            provider_ref="19c8b7a6-d5e4-4f3c-8b2a-1908f7e6d5c4",
            occurred_at=at,
        )
    ]


def test_canceled_subscription_is_active_to_its_end():
    provider = provider_at()
    bodies = {row["name"]: row["body_utf8"].encode() for row in VECTORS["payloads"]}

    subscription = provider.read_subscription(bodies["subscription.canceled"])

    assert (subscription.state, subscription.cancel_at_period_end) == ("active", True)
    assert subscription.ends_at == datetime(2026, 12, 22, 10, tzinfo=UTC)
    assert provider.read_subscription(bodies["order.paid"]) is None
    with pytest.raises(PayloadUnreadable):
        provider.read_subscription(event("subscription.updated", None))


@pytest.mark.parametrize(
    ("status", "paid", "claim", "code"),
    [
        ("draft", False, Claim.ACCEPTED, None),
        ("pending", False, Claim.ACCEPTED, None),
        ("paid", True, Claim.SUCCESS, None),
        ("paid", False, Claim.ACCEPTED, None),
        ("partially_refunded", True, Claim.SUCCESS, None),
        ("refunded", True, Claim.SUCCESS, None),
        ("void", False, Claim.FAILURE, FailureCode.CANCELED),
        ("brand_new_word", True, Claim.ACCEPTED, None),
    ],
)
@pytest.mark.parametrize("kind", ["order.created", "order.updated", "order.paid", "order.refunded"])
def test_only_a_paid_order_is_money(kind, status, paid, claim, code):
    """Whatever the event is called."""
    [observation] = provider_at().read_webhook(event(kind, polar_order(status=status, paid=paid)))

    assert (observation.claim, observation.failure_code) == (claim, code)
    assert (observation.trust, observation.provider_ref) == (Trust.STRONG, CHECKOUT_ID)


@pytest.mark.parametrize(
    ("status", "claim", "code", "trust"),
    [
        ("open", Claim.ACCEPTED, None, Trust.STRONG),
        ("confirmed", Claim.ACCEPTED, None, Trust.STRONG),
        ("succeeded", Claim.SUCCESS, None, Trust.HINT),
        ("expired", Claim.FAILURE, FailureCode.TIMED_OUT, Trust.STRONG),
        ("failed", Claim.FAILURE, FailureCode.DECLINED, Trust.STRONG),
        ("brand_new_word", Claim.ACCEPTED, None, Trust.STRONG),
    ],
)
def test_session_tells_how_far_the_buyer_is(status, claim, code, trust):
    """A decline puts it back to open, which ends nothing."""
    [observation] = provider_at().read_webhook(
        event("checkout.updated", polar_checkout(status=status))
    )

    assert (observation.claim, observation.failure_code) == (claim, code)
    assert observation.trust is trust


@pytest.mark.parametrize(
    ("status", "claim", "code"),
    [
        ("pending", Claim.ACCEPTED, None),
        ("succeeded", Claim.SUCCESS, None),
        ("failed", Claim.FAILURE, FailureCode.OTHER),
        ("canceled", Claim.FAILURE, FailureCode.CANCELED),
        ("brand_new_word", Claim.ACCEPTED, None),
    ],
)
@pytest.mark.parametrize("kind", ["refund.created", "refund.updated"])
def test_refund_event_is_about_the_refund(kind, status, claim, code):
    [observation] = provider_at().read_webhook(event(kind, polar_refund(status=status)))

    assert (observation.subject, observation.reference) == (Subject.REFUND, "RF-1")
    assert (observation.claim, observation.failure_code) == (claim, code)


def test_unlisted_word_reaches_staff(caplog):
    with caplog.at_level(logging.ERROR, "ntc_payments"):
        provider_at().read_webhook(event("order.updated", polar_order(status="brand_new_word")))

    assert "payment.status_unknown" in caplog.messages


@pytest.mark.parametrize(
    ("reason", "renews"),
    [
        ("subscription_cycle", REFERENCE),
        # What a change of the subscription costs pays for no period.
        ("subscription_update", ""),
        ("subscription_meter_cycle", ""),
        ("new_word", ""),
    ],
)
def test_renewal_is_new_money_without_an_attempt(reason, renews):
    """Its metadata are the first order's, so its reference would pay the first payment again."""
    renewal = polar_order(id="ORDER-2", billing_reason=reason, checkout_id=None)
    provider = provider_at()

    [observation] = provider.read_webhook(event("order.paid", renewal))

    assert (observation.reference, observation.provider_ref) == ("", "ORDER-2")
    assert observation.renews == renews
    assert (observation.claim, observation.money) == (
        Claim.SUCCESS,
        Money.from_major(29_500, "TZS"),
    )
    for kind in ("order.created", "order.updated", "order.refunded"):
        assert provider.read_webhook(event(kind, renewal)) == []
    assert provider.read_webhook(event("order.paid", {**renewal, "paid": False})) == []


@pytest.mark.parametrize(
    ("checkout_id", "provider_ref"), [(CHECKOUT_ID, CHECKOUT_ID), (None, ORDER_ID), (7, ORDER_ID)]
)
def test_sale_that_we_did_not_start_is_kept_without_a_reference(checkout_id, provider_ref):
    sale = polar_order(metadata={}, checkout_id=checkout_id)

    [observation] = provider_at().read_webhook(event("order.paid", sale))

    assert (observation.reference, observation.provider_ref) == ("", provider_ref)


@pytest.mark.parametrize("metadata", [{}, {"reference": 7}, None])
def test_session_that_we_did_not_open_says_nothing(metadata):
    body = event("checkout.updated", polar_checkout(metadata=metadata))

    assert provider_at().read_webhook(body) == []


def test_refund_that_we_did_not_ask_for_is_told_when_it_ended():
    """Polar refunds by itself to avoid disputes; staff do in the dashboard."""
    provider = provider_at()

    def said(status: str) -> list[Observation]:
        return provider.read_webhook(
            event("refund.updated", polar_refund(metadata={}, status=status))
        )

    assert said("pending") == []
    assert [(one.reference, one.claim) for one in said("succeeded")] == [("", Claim.SUCCESS)]
    assert [(one.reference, one.claim) for one in said("failed")] == [("", Claim.FAILURE)]


@pytest.mark.parametrize(
    "kind", ["subscription.active", "customer.state_changed", "benefit.created", "order.brand_new"]
)
def test_unknown_event_says_nothing(kind):
    assert provider_at().read_webhook(event(kind, None)) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("order.paid", None),
        ("order.paid", polar_order(total_amount="2950000")),
        ("order.paid", polar_order(total_amount=True)),
        ("order.paid", polar_order(currency="xyz")),
        ("order.paid", polar_order(currency="ugx", total_amount=150)),
        ("order.paid", polar_order(total_amount=10**40)),
        ("order.paid", polar_order(status=None)),
        ("order.paid", polar_order(metadata={"reference": "a\x00b"})),
        ("checkout.updated", polar_checkout(id=None)),
        ("refund.updated", polar_refund(tax_amount=None)),
    ],
)
def test_event_in_another_shape_is_unreadable(kind, data):
    with pytest.raises(PayloadUnreadable):
        provider_at().read_webhook(event(kind, data))


@pytest.mark.parametrize(
    ("fee", "currency", "expected"),
    [(100_00, "tzs", Money(100_00, "TZS")), (50, "usd", None), (0, None, None)],
)
def test_fee_is_told_where_it_is_in_the_same_currency(fee, currency, expected):
    data = polar_order(platform_fee_amount=fee, platform_fee_currency=currency)

    [observation] = provider_at().read_webhook(event("order.paid", data))

    assert observation.fee == expected


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        ("2026-11-22T23:59:57", datetime(2026, 11, 22, 23, 59, 57, tzinfo=UTC)),
        ("yesterday", None),
        (7, None),
    ],
)
def test_companys_clock_is_read_or_left_out(timestamp, moment):
    body = json.dumps({"type": "order.paid", "timestamp": timestamp, "data": polar_order()})

    [observation] = provider_at().read_webhook(body.encode())

    assert observation.occurred_at == moment
