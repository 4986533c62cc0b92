"""Polar: cards on a hosted page, subscriptions, refunds. Polar is the seller and keeps the tax.

Source: docs/providers/polar.md; what is guessed there is listed under "Guesses".
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import logging
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from ntc_core.http import AnswerUnreadable, HttpAnswer, HttpClient, HttpFailure, NoAnswer, NotSent
from ntc_core.money import InvalidMoney, Money
from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookRequest,
)

from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.bodies import load_event
from ntc_payments.types import (
    LONGEST_FAILURE_MESSAGE,
    AttemptRequest,
    CallHandle,
    Capabilities,
    Claim,
    Dispute,
    DisputeState,
    FailureCode,
    Limit,
    Observation,
    PaymentMethod,
    RefundRequest,
    StartOutcome,
    StartResult,
    Subject,
    Trust,
)

__all__ = ["PolarProvider", "PolarRefused", "PolarSubscription", "PortalSession"]

log = logging.getLogger("ntc_payments")

CLOCK_TOLERANCE_SECONDS = 300
#: A GET that met a busy server is repeated so often, inside its total deadline.
GET_RETRIES = 3
RETRY_PAUSE_SECONDS = 0.2
PAGE_SIZE = 100
MOST_PAGES = 10
LONGEST_URL = 2000
LONGEST_NAME = 256
CHECKOUT_ID = "{CHECKOUT_ID}"

#: ISO 4217 gives UGX no decimals, Polar two; of our currencies only these have none there.
_WITHOUT_DECIMALS = frozenset({"BIF", "RWF"})

_BUSY = frozenset({429, 502, 503, 504})
_REFUSALS = frozenset({400, 401, 402, 403, 404, 409, 410, 412, 422})

# A word that is not listed is Claim.ACCEPTED, and somebody should look.
_CHECKOUT_CLAIMS: Mapping[str, tuple[Claim, FailureCode | None]] = {
    "open": (Claim.ACCEPTED, None),  # also after a decline: the buyer may try again
    "confirmed": (Claim.ACCEPTED, None),
    "succeeded": (Claim.ACCEPTED, None),  # the paid order is the proof, not this
    "expired": (Claim.FAILURE, FailureCode.TIMED_OUT),
    "failed": (Claim.FAILURE, FailureCode.DECLINED),
}
_ORDER_CLAIMS: Mapping[str, tuple[Claim, FailureCode | None]] = {
    "draft": (Claim.ACCEPTED, None),
    "pending": (Claim.ACCEPTED, None),
    "paid": (Claim.SUCCESS, None),
    # What went back is told by the refunds; the payment came all the same.
    "partially_refunded": (Claim.SUCCESS, None),
    "refunded": (Claim.SUCCESS, None),
    "void": (Claim.FAILURE, FailureCode.CANCELED),
}
_REFUND_CLAIMS: Mapping[str, tuple[Claim, FailureCode | None]] = {
    "pending": (Claim.ACCEPTED, None),
    "succeeded": (Claim.SUCCESS, None),
    "failed": (Claim.FAILURE, FailureCode.OTHER),
    "canceled": (Claim.FAILURE, FailureCode.CANCELED),
}
_DISPUTE_STATES: Mapping[str, DisputeState] = {
    "early_warning": DisputeState.OPEN,
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.OPEN,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
    # Polar has given the money back before the bank was asked to.
    "prevented": DisputeState.LOST,
}
_SUBSCRIPTION_STATES: Mapping[str, str] = {
    "trialing": "active",
    "active": "active",
    "past_due": "past_due",
    "unpaid": "past_due",
    "incomplete": "pending",
    "incomplete_expired": "canceled",
    "canceled": "canceled",
    "paused": "paused",
}
# Any other billing reason is a renewal or a change: new money, not the attempt's.
_RENEWAL = "subscription_cycle"
_FIRST_ORDERS = frozenset({"purchase", "subscription_create"})
_ORDER_EVENTS = frozenset({"order.created", "order.updated", "order.paid", "order.refunded"})
_CHECKOUT_EVENTS = frozenset({"checkout.created", "checkout.updated", "checkout.expired"})
_REFUND_EVENTS = frozenset({"refund.created", "refund.updated"})
_REFUND_REASONS = frozenset(
    {"duplicate", "fraudulent", "customer_request", "service_disruption"}
    | {"satisfaction_guarantee", "other"}
)


class PolarRefused(Exception):
    """Polar says no to something that is not a payment or a refund.

    Attributes:
        status: HTTP. 409 and 429 mean: the same again, later.
        code: Polar's name of the error, such as `SubscriptionLocked`.
    """

    def __init__(self, *, status: int, code: str, message: str) -> None:
        super().__init__(f"Polar: {code or f'HTTP {status}'}: {message}")
        self.status = status
        self.code = code


@dataclass(frozen=True, kw_only=True)
class PolarSubscription:
    """A subscription. `state`: active, past_due, pending, canceled, paused or unknown."""

    subscription_ref: str
    state: str
    cancel_at_period_end: bool
    ends_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class PortalSession:
    """A way into the customer portal. One per click: not to be stored or mailed."""

    url: str
    expires_at: datetime | None


class PolarProvider(PaymentProvider):
    """Hosted checkout of one product at ad-hoc prices; tax is inside the price."""

    name: ClassVar[str] = "polar"
    title: ClassVar[str] = "Polar"
    capabilities = Capabilities(
        methods=(PaymentMethod.HOSTED_CHECKOUT, PaymentMethod.CARD),
        currencies=("TZS", "USD", "EUR", "GBP", "KES", "UGX"),
        limits={
            "TZS": Limit(
                minimum=Money.from_major(2_000, "TZS"), maximum=Money.from_major(2_500_000, "TZS")
            ),
            "USD": Limit(minimum=Money.from_major("0.50", "USD")),
            "EUR": Limit(minimum=Money.from_major("0.50", "EUR")),
            "GBP": Limit(minimum=Money.from_major("0.50", "GBP")),
            "KES": Limit(minimum=Money.from_major(70, "KES")),
            "UGX": Limit(minimum=Money.from_major(2_000, "UGX")),
        },
        can_refund=True,
        has_disputes=True,
    )

    def __init__(
        self,
        *,
        access_token: str,
        webhook_secrets: Sequence[str] | str,
        product_id: str,
        base_url: str = "https://api.polar.sh",
        api_version: str = "2026-10",
        tax_behavior: str = "inclusive",
        total_timeout_seconds: float = 15.0,
    ) -> None:
        """Args:
        webhook_secrets: of the endpoint, more than one while it is changed; a text is a
            comma list.
        product_id: the product that every checkout sells, at the price of the payment.
        base_url: sandbox: https://sandbox-api.polar.sh, with a token of its own.
        api_version: `Polar-Version`; without it the behaviour moves every quarter.
        tax_behavior: "inclusive": the payer pays exactly what was asked. Another word makes
            the sum larger than the payment, which opens a break.
        total_timeout_seconds: for one call with its repetitions. A refund needs up to three.
        """
        self._keys = _keys_of(webhook_secrets)
        self._product_id = product_id
        self._api_version = api_version
        self._tax_behavior = tax_behavior
        self._base_scheme = urlsplit(base_url).scheme
        self._client = HttpClient(
            base_url=base_url,
            total_timeout_seconds=total_timeout_seconds,
            headers={"Authorization": f"Bearer {access_token}", "Polar-Version": api_version},
        )

    # Money in.

    def start(self, request: AttemptRequest) -> StartOutcome:
        """Open a checkout session; the payer goes on at its page."""
        answer = self._request("POST", "/v1/checkouts/", json=self._checkout(request))
        if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return _refusal(answer)
        session = _object(answer)
        url = _text(session, "url")
        # Plain http only where the company itself is reached so: on a developer's machine.
        if urlsplit(url).scheme not in {"https", self._base_scheme} or len(url) > LONGEST_URL:
            raise AnswerUnreadable("Polar: the address of the checkout page is not one.")
        return StartOutcome(
            result=StartResult.ACCEPTED, provider_ref=_text(session, "id"), checkout_url=url
        )

    def query(self, handle: CallHandle) -> list[Observation]:
        """Look for the paid order; without one the checkout session tells how far it is.

        A session whose id we never learned cannot be looked up. Nobody got its address
        either, so without an order it is "not found".
        """
        if handle.provider_ref:
            orders = self._list("/v1/orders/", {"checkout_id": handle.provider_ref})
        else:
            orders = self._list("/v1/orders/", {"metadata[reference]": handle.reference})
        said = [_observe_order(order) for order in orders if _is_first(order)]
        if any(observation.reference != handle.reference for observation in said):
            raise AnswerUnreadable("Polar: it answered about another reference.")
        paid = [observation for observation in said if observation.claim is Claim.SUCCESS]
        if paid:
            return paid
        if not handle.provider_ref:
            return said or [Observation(reference=handle.reference, claim=Claim.NOT_FOUND)]
        return self._query_checkout(handle, said)

    def _query_checkout(self, handle: CallHandle, said: list[Observation]) -> list[Observation]:
        checkout = self._fetch(f"/v1/checkouts/{quote(handle.provider_ref, safe='')}")
        if checkout is None:
            return said or [Observation(reference=handle.reference, claim=Claim.NOT_FOUND)]
        observation = _observe_checkout(checkout)
        if observation.reference != handle.reference:
            raise AnswerUnreadable("Polar: it answered about another reference.")
        # While the page is open the buyer may try again, whatever became of an order. After
        # that an order knows more than the session.
        return said if said and checkout["status"] not in {"open", "confirmed"} else [observation]

    # What the company tells us.

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Check the Standard Webhooks signature with both ways to read each secret."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        event_id = headers.get("webhook-id", "")
        timestamp = headers.get("webhook-timestamp", "")
        given = _signatures(headers.get("webhook-signature", ""))
        if not event_id or not given:
            raise SignatureInvalid("Polar: a webhook header is missing.")
        age = math.floor(request.received_at.timestamp()) - _unix_time(timestamp)
        if abs(age) > CLOCK_TOLERANCE_SECONDS:
            raise SignatureInvalid("Polar: the time stamp is too far from now.")
        signed = f"{event_id}.{timestamp}.".encode(errors="replace") + request.body
        derivation = next(
            (
                derivation
                for derivation, key in self._keys
                for one in given
                if hmac.compare_digest(one, hmac.digest(key, signed, hashlib.sha256))
            ),
            None,
        )
        if derivation is None:
            raise SignatureInvalid("Polar: no signature matches the body.")
        # Once no endpoint is legacy any more, the first way can go.
        log.info("payment.webhook_proven", extra={"provider": self.name, "key": derivation})
        return VerifiedWebhook(
            dedupe_key=event_id, event_type=_text(load_event(request.body, company="Polar"), "type")
        )

    def read_webhook(self, body: bytes) -> list[Observation]:
        """Read an event; types we do not know say nothing about money."""
        event = load_event(body, company="Polar")
        kind = _text(event, "type")
        known = _ORDER_EVENTS | _CHECKOUT_EVENTS | _REFUND_EVENTS
        if kind not in known:
            return []
        data = event.get("data")
        if not isinstance(data, dict):
            raise PayloadUnreadable("Polar: the event has no data.")
        at = _moment(event.get("timestamp"))
        if kind in _ORDER_EVENTS:
            return _read_order(data, kind=kind, at=at)
        if kind in _REFUND_EVENTS:
            return _read_refund(data, at=at)
        return _read_checkout(data, at=at)

    def read_subscription(self, body: bytes) -> PolarSubscription | None:
        """Return the subscription that a verified body tells about, or None: another event."""
        event = load_event(body, company="Polar")
        if not _text(event, "type").startswith("subscription."):
            return None
        data = event.get("data")
        if not isinstance(data, dict):
            raise PayloadUnreadable("Polar: the event has no data.")
        return _subscription(data)

    # Money back.

    def start_refund(self, request: RefundRequest) -> StartOutcome:
        """Give back exactly that much, tax included, unless it was asked for before.

        Raises:
            NotSent: also when the order or its refunds could not be read.
        """
        try:
            order = self._find_order(request.payment_ref, request.payment_reference)
            known = self._refunds_of(order, request.reference) if order else []
        except (HttpFailure, AnswerUnreadable) as error:
            raise NotSent("Polar: the order could not be read; no refund was asked for.") from error
        if order is None:
            return _refused(FailureCode.INVALID_REQUEST, "Polar has no paid order for it.")
        if known:
            return StartOutcome(result=StartResult.DUPLICATE, provider_ref=_text(known[0], "id"))
        amount = _refund_amount(order, request.money)
        if amount is None:
            left = _money(order, "refundable_amount", "refundable_tax_amount")
            return _refused(
                FailureCode.INVALID_REQUEST,
                f"Polar cannot give back exactly {request.money} of the {left} that are left: its "
                "share of the tax is rounded. Ask for all, or for one minor unit more or less.",
            )
        answer = self._request(
            "POST",
            "/v1/refunds/",
            json={
                "order_id": _text(order, "id"),
                **_reason(request.reason),
                "amount": amount,
                "metadata": {"reference": request.reference},
            },
        )
        if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return _refusal(answer)
        return _refund_outcome(_object(answer))

    def query_refund(self, handle: CallHandle) -> list[Observation]:
        """Look by Polar's id, else among the refunds of the order for our reference."""
        if handle.provider_ref:
            refunds = self._list("/v1/refunds/", {"id": handle.provider_ref})
        elif handle.parent_ref:
            order = self._find_order(handle.parent_ref)
            refunds = self._refunds_of(order, handle.reference) if order else []
        else:
            raise NoAnswer("Polar: a refund is found by its id or by its order; neither is known.")
        said = [_observe_refund(refund) for refund in refunds]
        if any(observation.reference != handle.reference for observation in said):
            raise AnswerUnreadable("Polar: it answered about another reference.")
        return said or [
            Observation(reference=handle.reference, claim=Claim.NOT_FOUND, subject=Subject.REFUND)
        ]

    def _find_order(self, checkout_id: str, reference: str = "") -> dict[str, Any] | None:
        """Return the first order of a checkout that was paid, or None.

        Args:
            checkout_id: or the order's own id, where the order is a renewal.
        """
        filters = (
            {"checkout_id": checkout_id} if checkout_id else {"metadata[reference]": reference}
        )
        orders = self._list("/v1/orders/", filters)
        paid = [order for order in orders if _is_first(order) and order.get("paid") is True]
        if paid or not checkout_id:
            return paid[0] if paid else None
        order = self._fetch(f"/v1/orders/{quote(checkout_id, safe='')}")
        return order if order is not None and order.get("paid") is True else None

    def _refunds_of(self, order: Mapping[str, Any], reference: str) -> list[dict[str, Any]]:
        refunds = self._list("/v1/refunds/", {"order_id": _text(order, "id")})
        return [refund for refund in refunds if _reference(refund) == reference]

    # What payers complain about.

    def list_disputes(self) -> list[Dispute]:
        """Return all disputes with the charges they are about. No webhook tells of them."""
        disputes = []
        for row in self._list("/v1/disputes/", {}):
            order = self._fetch(f"/v1/orders/{quote(_text(row, 'order_id'), safe='')}")
            if order is None:
                raise AnswerUnreadable("Polar: a dispute about an order that it does not know.")
            disputes.append(_read_dispute(row, order))
        return disputes

    # Subscriptions and customers.

    def cancel_subscription(
        self, subscription_ref: str, *, at_period_end: bool = True
    ) -> PolarSubscription:
        """End it with the paid period, or at once.

        Raises:
            PolarRefused: it has ended (403), or is locked for a moment (409).
            NotSent, NoAnswer, AnswerUnreadable: as everywhere.
        """
        if not at_period_end:
            return self.revoke_subscription(subscription_ref)
        return self._change_subscription(subscription_ref, {"cancel_at_period_end": True})

    def keep_subscription(self, subscription_ref: str) -> PolarSubscription:
        """Undo a cancellation whose period has not ended. Raises as the cancellation."""
        return self._change_subscription(subscription_ref, {"cancel_at_period_end": False})

    def revoke_subscription(self, subscription_ref: str) -> PolarSubscription:
        """End it now; nothing is given back. Raises as `cancel_subscription()`."""
        return self._change_subscription(subscription_ref, {"revoke": True})

    def _change_subscription(
        self, subscription_ref: str, change: Mapping[str, bool]
    ) -> PolarSubscription:
        path = f"/v1/subscriptions/{quote(subscription_ref, safe='')}"
        return _subscription(_done(self._request("PATCH", path, json=change)))

    def create_portal_session(
        self, external_customer_id: str, return_url: str = ""
    ) -> PortalSession:
        """Open the page where a customer sees invoices and ends subscriptions.

        Raises:
            PolarRefused: no such customer (422), or a wrong token.
        """
        body = {"external_customer_id": external_customer_id}
        if return_url:
            body["return_url"] = return_url
        session = _done(self._request("POST", "/v1/customer-sessions/", json=body))
        return PortalSession(
            url=_text(session, "customer_portal_url"),
            expires_at=_moment(session.get("expires_at")),
        )

    def get_or_create_customer(self, *, external_id: str, email: str, name: str = "") -> str:
        """Return Polar's id of the customer.

        An address that Polar knows without an id of ours is linked to this one, for ever.

        Raises:
            PolarRefused: the address belongs to a customer with another id of ours.
        """
        known = self._fetch(f"/v1/customers/external/{quote(external_id, safe='')}")
        if known is not None:
            return _text(known, "id")
        body = {"external_id": external_id, "email": email}
        if name:
            body["name"] = name[:LONGEST_NAME]
        answer = self._request("POST", "/v1/customers/", json=body)
        if answer.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            return _text(_done(answer), "id")
        same = [
            customer
            for customer in self._list("/v1/customers/", {"email": email})
            if str(customer.get("email")).lower() == email.lower()
        ]
        if not same or same[0].get("external_id") is not None:
            raise _refused_by(answer)
        path = f"/v1/customers/{quote(_text(same[0], 'id'), safe='')}"
        return _text(_done(self._request("PATCH", path, json={"external_id": external_id})), "id")

    # Calls.

    def _checkout(self, request: AttemptRequest) -> dict[str, Any]:
        payer, currency = request.payer, request.money.currency.lower()
        price = {
            "amount_type": "fixed",
            "price_amount": _minor_there(request.money),
            "price_currency": currency,
            "tax_behavior": self._tax_behavior,
        }
        country = payer.address.country
        optional = {
            "external_customer_id": payer.external_id,
            "customer_email": payer.email,
            "customer_name": payer.name[:LONGEST_NAME],
            "customer_billing_address": {"country": country} if country else None,
            "success_url": _success_url(request.return_url),
        }
        return {
            "products": [self._product_id],
            **{name: value for name, value in optional.items() if value},
            "metadata": {"reference": request.reference},
            "currency": currency,
            "prices": {self._product_id: [price]},
            # A discount would pay less than what was asked.
            "allow_discount_codes": False,
        }

    def prove_access(self) -> None:
        """Ask for one order; an account without any answers with an empty list."""
        if self._fetch("/v1/orders/", {"limit": 1}) is None:
            raise AnswerUnreadable("Polar: it has no list of orders.")

    def _list(self, path: str, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the items of all pages.

        Raises:
            AnswerUnreadable: also for "not found": a collection is always there.
        """
        items: list[dict[str, Any]] = []
        for page in range(1, MOST_PAGES + 1):
            body = self._fetch(path, {**filters, "limit": PAGE_SIZE, "page": page}) or {}
            found, pagination = body.get("items"), body.get("pagination")
            last = pagination.get("max_page") if isinstance(pagination, dict) else None
            if not isinstance(found, list) or not isinstance(last, int):
                raise AnswerUnreadable("Polar: expected a list with its number of pages.")
            items += [item for item in found if isinstance(item, dict)]
            if page >= last:
                return items
        raise AnswerUnreadable(f"Polar: more than {MOST_PAGES} pages about one payment.")

    def _fetch(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Return the object, or None: Polar knows no such thing."""
        answer = self._get(path, params)
        if answer.status == HTTPStatus.OK:
            return _object(answer)
        code, message = _error(answer)
        if answer.status == HTTPStatus.NOT_FOUND and code == "ResourceNotFound":
            return None
        raise NoAnswer(f"Polar: HTTP {answer.status} {code} to a question. {message}".rstrip())

    def _get(self, path: str, params: Mapping[str, Any] | None) -> HttpAnswer:
        """Ask, again while the server is busy and time is left."""
        client = self._client
        deadline = time.monotonic() + client.total_timeout_seconds
        for number in range(GET_RETRIES):
            answer = self._request("GET", path, client=client, params=params)
            # Jitter: many workers that were turned away together must not come back together.
            pause = RETRY_PAUSE_SECONDS * 2**number * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            pause = max(pause, _retry_after(answer) or 0)
            left = deadline - time.monotonic() - pause
            if answer.status not in _BUSY or left <= 0:
                return answer
            time.sleep(pause)
            client = copy.copy(self._client)
            client.total_timeout_seconds = left
        return self._request("GET", path, client=client, params=params)

    def _request(
        self, method: str, path: str, *, client: HttpClient | None = None, **content: Any
    ) -> HttpAnswer:
        """Send once; tell staff when our version of the API seems to be gone."""
        answer = (client or self._client).request(method, path, **content)
        told = answer.headers.get("polar-version", self._api_version)
        gone = answer.status == HTTPStatus.NOT_FOUND and _error(answer)[0] != "ResourceNotFound"
        if gone or told != self._api_version:
            extra = {"provider": self.name, "asked": self._api_version, "told": told[:20]}
            log.error("payment.api_version_unavailable", extra=extra)
        return answer


def _keys_of(secrets: Sequence[str] | str) -> list[tuple[str, bytes]]:
    """Return the HMAC keys that the secrets may stand for, each with the way it was derived.

    "legacy", before 2026-09-08: the whole text. "standard": what follows `whsec_`, decoded
    from base64. By its looks nobody can tell which a secret is.
    """
    texts = [text.strip() for text in (secrets.split(",") if isinstance(secrets, str) else secrets)]
    if not texts or not all(texts):
        raise ValueError("Polar needs webhook_secrets, none of them empty: POLAR_WEBHOOK_SECRETS.")
    keys = [("legacy", text.encode()) for text in texts]
    for text in texts:
        encoded = text.removeprefix("whsec_").rstrip("=")
        try:
            key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except ValueError:
            continue
        keys += [("standard", key)] if key else []
    return keys


def _signatures(header: str) -> list[bytes]:
    """Return the digests of version 1; others and malformed entries are skipped."""
    digests = []
    for entry in header.split():
        version, _, encoded = entry.partition(",")
        if version != "v1" or not encoded:
            continue
        try:
            digests.append(base64.b64decode(encoded, validate=True))
        except ValueError:
            continue
    return digests


def _unix_time(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SignatureInvalid("Polar: the time stamp is not a Unix time.")
    return math.floor(number)


def _success_url(return_url: str) -> str:
    """Return where Polar sends the buyer, with the place it fills in not escaped."""
    url = return_url.replace(quote(CHECKOUT_ID), CHECKOUT_ID)
    if not url or CHECKOUT_ID in url:
        return url
    address, mark, fragment = url.partition("#")
    joint = "&" if urlsplit(address).query else "?"
    return f"{address.rstrip('?')}{joint}checkout_id={CHECKOUT_ID}{mark}{fragment}"


def _is_first(order: Mapping[str, Any]) -> bool:
    return order.get("billing_reason", "purchase") in _FIRST_ORDERS


def _read_order(order: Mapping[str, Any], *, kind: str, at: datetime | None) -> list[Observation]:
    if _is_first(order) and _reference(order):
        return [_observe_order(order, at=at)]
    # A renewal, a change of a subscription, or a sale that we did not start, told once. The
    # metadata come from the first order, so their reference means another payment. What a
    # change cost is for a person: it buys no period.
    if kind != "order.paid" or order.get("paid") is not True:
        return []
    provider_ref = (_is_first(order) and _text_or_empty(order, "checkout_id")) or _text(order, "id")
    money = _money(order, "total_amount")
    return [
        _observe(
            reference="",
            claim=Claim.SUCCESS,
            money=money,
            fee=_fee(order),
            provider_ref=provider_ref,
            renews=_reference(order) if order.get("billing_reason") == _RENEWAL else "",
            at=at,
        )
    ]


def _observe_order(order: Mapping[str, Any], *, at: datetime | None = None) -> Observation:
    """Read one order. `total_amount` is what the buyer paid, Polar's tax in it."""
    claim, failure_code = _claim(order, _ORDER_CLAIMS)
    if claim is Claim.SUCCESS and order.get("paid") is not True:
        claim = Claim.ACCEPTED
    return _observe(
        reference=_reference(order),
        claim=claim,
        money=_money(order, "total_amount"),
        fee=_fee(order),
        provider_ref=_text_or_empty(order, "checkout_id"),
        failure_code=failure_code,
        at=at,
    )


def _read_checkout(checkout: Mapping[str, Any], *, at: datetime | None) -> list[Observation]:
    if not _reference(checkout):
        return []
    observation = _observe_checkout(checkout, at=at)
    if checkout["status"] != "succeeded":
        return [observation]
    # It points to the paid order, which the question that follows a hint will find.
    return [
        _observe(
            reference=observation.reference,
            claim=Claim.SUCCESS,
            money=_money(checkout, "total_amount"),
            provider_ref=observation.provider_ref,
            trust=Trust.HINT,
            at=at,
        )
    ]


def _observe_checkout(checkout: Mapping[str, Any], *, at: datetime | None = None) -> Observation:
    claim, failure_code = _claim(checkout, _CHECKOUT_CLAIMS)
    return _observe(
        reference=_reference(checkout),
        claim=claim,
        provider_ref=_text(checkout, "id"),
        failure_code=failure_code,
        at=at,
    )


def _read_refund(refund: Mapping[str, Any], *, at: datetime | None) -> list[Observation]:
    observation = _observe_refund(refund, at=at)
    # Made in Polar's dashboard or by Polar: without a reference only its end is of use.
    if not observation.reference and observation.claim is Claim.ACCEPTED:
        return []
    return [observation]


def _read_dispute(row: Mapping[str, Any], order: Mapping[str, Any]) -> Dispute:
    status = _text(row, "status")
    if status not in _DISPUTE_STATES:
        extra = {"provider": PolarProvider.name, "status": status[:50]}
        log.error("payment.status_unknown", extra=extra)
    is_first = _is_first(order)
    try:
        return Dispute(
            dispute_ref=_text(row, "id"),
            state=_DISPUTE_STATES.get(status, DisputeState.OPEN),
            money=_money(row, "amount", "tax_amount"),
            reference=_reference(order) if is_first else "",
            provider_ref=(is_first and _text_or_empty(order, "checkout_id")) or _text(order, "id"),
        )
    except ValueError as error:
        raise AnswerUnreadable(f"Polar: {error}") from error


def _observe_refund(refund: Mapping[str, Any], *, at: datetime | None = None) -> Observation:
    """Read one refund: what goes back to the buyer is its amount and its share of the tax."""
    claim, failure_code = _claim(refund, _REFUND_CLAIMS)
    return _observe(
        reference=_reference(refund),
        subject=Subject.REFUND,
        claim=claim,
        money=_money(refund, "amount", "tax_amount"),
        provider_ref=_text(refund, "id"),
        failure_code=failure_code,
        at=at,
    )


def _observe(*, at: datetime | None, **values: Any) -> Observation:
    try:
        return Observation(occurred_at=at, **values)
    except ValueError as error:
        raise PayloadUnreadable(f"Polar: {error}") from error


def _claim(
    data: Mapping[str, Any], claims: Mapping[str, tuple[Claim, FailureCode | None]]
) -> tuple[Claim, FailureCode | None]:
    status = _text(data, "status")
    if status not in claims:
        extra = {"provider": PolarProvider.name, "status": status[:50]}
        log.error("payment.status_unknown", extra=extra)
    return claims.get(status, (Claim.ACCEPTED, None))


def _refund_outcome(refund: Mapping[str, Any]) -> StartOutcome:
    observation = _observe_refund(refund)
    results = {Claim.SUCCESS: StartResult.DONE, Claim.FAILURE: StartResult.REFUSED}
    return StartOutcome(
        result=results.get(observation.claim, StartResult.ACCEPTED),
        provider_ref=observation.provider_ref,
        money=observation.money,
        failure_code=observation.failure_code,
    )


def _refund_amount(order: Mapping[str, Any], money: Money) -> int | None:
    """Return the amount without tax with which exactly `money` goes back, or None.

    Polar adds the tax share of the order, rounded; of the rest of an order, all its tax.
    """
    net, tax = _whole(order, "net_amount"), _whole(order, "tax_amount")
    left, left_tax = _whole(order, "refundable_amount"), _whole(order, "refundable_tax_amount")
    wanted = _minor_there(money)
    if _text(order, "currency").upper() != money.currency:
        return None
    if wanted == left + left_tax:
        return left
    if net + tax <= 0:
        return None
    near = wanted * net // (net + tax)
    for amount in (near - 1, near, near + 1):
        if 0 < amount < left and amount + round(amount * (tax / net)) == wanted:
            return amount
    return None


def _reason(text: str) -> dict[str, str]:
    if text in _REFUND_REASONS:
        return {"reason": text}
    return {"reason": "customer_request", **({"comment": text} if text else {})}


def _subscription(data: Mapping[str, Any]) -> PolarSubscription:
    return PolarSubscription(
        subscription_ref=_text(data, "id"),
        state=_SUBSCRIPTION_STATES.get(_text(data, "status"), "unknown"),
        cancel_at_period_end=data.get("cancel_at_period_end") is True,
        ends_at=_moment(data.get("ends_at")),
    )


def _refusal(answer: HttpAnswer) -> StartOutcome:
    """Say why nothing was started.

    Raises:
        NoAnswer: the answer does not say that for certain.
    """
    code, message = _error(answer)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return StartOutcome(result=StartResult.TRY_LATER, retry_after_seconds=_retry_after(answer))
    # Without Polar's name for it, a proxy on the way may have spoken.
    if answer.status not in _REFUSALS or not code:
        raise NoAnswer(f"Polar: HTTP {answer.status} is not a documented answer.")
    ours = answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
    return _refused(
        FailureCode.INVALID_REQUEST if ours else FailureCode.PROVIDER_REFUSED,
        f"{code}: {message}",
    )


def _refused(code: FailureCode, message: str) -> StartOutcome:
    return StartOutcome(
        result=StartResult.REFUSED,
        failure_code=code,
        failure_message=message[:LONGEST_FAILURE_MESSAGE],
    )


def _done(answer: HttpAnswer) -> dict[str, Any]:
    """Return the object of an answer that says yes.

    Raises:
        PolarRefused: it says no.
        NoAnswer: it says neither.
    """
    if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return _object(answer)
    raise _refused_by(answer)


def _refused_by(answer: HttpAnswer) -> Exception:
    code, message = _error(answer)
    if answer.status in _REFUSALS | {HTTPStatus.TOO_MANY_REQUESTS}:
        return PolarRefused(status=answer.status, code=code, message=message)
    return NoAnswer(f"Polar: HTTP {answer.status} is not a documented answer.")


def _error(answer: HttpAnswer) -> tuple[str, str]:
    """Return Polar's name and text of an error, both empty if it has another shape.

    Wrong tokens are told with `error_description`, wrong fields with a list.
    """
    try:
        body = answer.json()
    except AnswerUnreadable:
        return "", ""
    if not isinstance(body, dict):
        return "", ""
    detail = body.get("detail", body.get("error_description"))
    if isinstance(detail, list):
        parts = [part for part in detail if isinstance(part, dict)]
        detail = "; ".join(f"{_field(part.get('loc'))}: {part.get('msg')}" for part in parts)
    return str(body.get("error") or ""), str(detail or "")


def _field(loc: object) -> str:
    """Return "email" of `["body", "email"]`."""
    names = [str(name) for name in loc] if isinstance(loc, list) else []
    return ".".join(names[1:] or names)


def _retry_after(answer: HttpAnswer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _reference(data: Mapping[str, Any]) -> str:
    metadata = data.get("metadata")
    return _text_or_empty(metadata, "reference") if isinstance(metadata, dict) else ""


def _minor_there(money: Money) -> int:
    """Return the amount in Polar's minor units."""
    return int(Decimal(money.to_major()).scaleb(_decimals(money.currency)))


def _money(data: Mapping[str, Any], *names: str) -> Money:
    """Return the sum of those amounts."""
    currency = _text(data, "currency").upper()
    minor = sum(_whole(data, name) for name in names)
    try:
        return Money.from_major(Decimal(minor).scaleb(-_decimals(currency)), currency)
    except InvalidMoney as error:
        raise PayloadUnreadable(f"Polar: {error}") from error


def _fee(order: Mapping[str, Any]) -> Money | None:
    """Return Polar's fee where it is in the order's own currency; 0 is "not known yet"."""
    if not order.get("platform_fee_amount"):
        return None
    if order.get("platform_fee_currency") != order.get("currency"):
        return None
    return _money(order, "platform_fee_amount")


def _decimals(currency: str) -> int:
    return 0 if currency in _WITHOUT_DECIMALS else 2


def _whole(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PayloadUnreadable(f"Polar: {name} is not a whole number.")
    return value


def _moment(value: object) -> datetime | None:
    """Read a time of the company's clock; nonsense is left out."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _object(answer: HttpAnswer) -> dict[str, Any]:
    body = answer.json()
    if not isinstance(body, dict):
        raise AnswerUnreadable("Polar: expected a JSON object.")
    return body


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise PayloadUnreadable(f"Polar: {name} is missing.")
    return value


def _text_or_empty(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""
