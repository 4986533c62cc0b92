"""Selcom (Tanzania): wallet pushes, hosted pages, cards, control numbers, payouts.

Source: docs/providers/selcom.md. What no source settles is under "Guesses" there.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from ntc_core.http import AnswerUnreadable, HttpClient, NoAnswer, NotSent
from ntc_core.money import Money
from ntc_core.webhooks.types import (
    SignatureInvalid,
    VerifiedWebhook,
    WebhookAck,
    WebhookRequest,
)

from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.selcom.answers import (
    CURRENCY,
    Reply,
    Verdict,
    claim_of_query,
    classify,
    failure_code_of,
    learned_nothing,
    observe_order,
    order_claim,
    read_money,
    read_page_url,
    read_statement_row,
    read_text,
    refusal,
)
from ntc_payments.providers.selcom.inbound import (
    describe_event,
    is_notification,
    load_event,
    observe_event,
    read_inquiry,
    write_reply,
)
from ntc_payments.providers.selcom.requests import (
    BILLING,
    RAILS,
    Fields,
    choose_rail,
    control_number,
    direct_push_fields,
    fresh_id,
    lookup_fields,
    msisdn_of,
    order_fields,
    payout_fields,
)
from ntc_payments.providers.selcom.signing import EAST_AFRICA, require_signature, sign_headers
from ntc_payments.types import (
    AttemptRequest,
    CallHandle,
    Capabilities,
    Claim,
    FailureCode,
    Inquiry,
    InquiryReply,
    Limit,
    Observation,
    PaymentMethod,
    PayoutMethod,
    PayoutPreview,
    PayoutRequest,
    StartOutcome,
    StartResult,
    StatementEntry,
    Subject,
)

__all__ = ["SelcomProvider"]

log = logging.getLogger("ntc_payments")

#: A day's list of orders has no pages.
MAX_ANSWER_BYTES = 8 * 1024 * 1024

_C2B_PAID = re.compile(r"COMPLETE|CONFIRMED|Payment successful", re.IGNORECASE)

# The gateway asks for a parameter: the order cannot exist.
_MISSING_PARAMETER_CODE = "412"


class SelcomProvider(PaymentProvider):
    """Whole Tanzanian shillings, by wallet push, page, card and control number; payouts."""

    name: ClassVar[str] = "selcom"
    title: ClassVar[str] = "Selcom"
    inquiry_actions: tuple[str, ...] = ("lookup", "validation")
    webhook_actions: tuple[str, ...] = ("notification",)

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        api_secret: str,
        vendor: str,
        float_vendor: str = "",
        pin: str = "",
        c2b_token: str = "",
        callback_url: str = "",
        cancel_url: str = "",
        strict_webhooks: bool = False,
        direct_push: bool = False,
        billing: Mapping[str, str] | None = None,
        total_timeout_seconds: float = 15.0,
    ) -> None:
        """Args:
        base_url: without `/v1`.
        vendor: the till that collects.
        float_vendor: the float that pays out; empty: the same id as `vendor`.
        pin: of the float; empty: no payouts and no balance.
        c2b_token: what Selcom sends us as `Bearer`; empty: no control numbers.
        callback_url: where the result of an order is told; empty: we only poll.
        cancel_url: where a page sends a payer who gives up; empty: as one who paid.
        strict_webhooks: refuse order webhooks without a signature, instead of asking.
        direct_push: send prompts by `wallet/pushussd`, one call without an order; its result
            comes as a notification, so it needs `c2b_token`.
        billing: what to write where the payer's own data is missing.
        total_timeout_seconds: for one call; `start()` makes two.
        """
        if re.search(r"/v1/?$", base_url):
            raise ValueError(f"Selcom's base_url is without /v1; it is added. Got {base_url!r}.")
        if direct_push and not c2b_token:
            raise ValueError("Selcom tells the end of a direct_push only with a c2b_token.")
        wrong = [key for key, text in (billing or {}).items() if key not in BILLING or not text]
        if wrong:
            raise ValueError(
                f"Selcom's billing has a wrong or empty {', '.join(wrong)}. "
                f"It may have a text for each of {', '.join(BILLING)}."
            )
        self._credentials = (api_key, api_secret)
        self._vendor, self._float_vendor, self._pin = vendor, float_vendor or vendor, pin
        self._c2b_token = c2b_token
        self._callback_url, self._cancel_url = callback_url, cancel_url
        self._strict_webhooks, self._direct_push = strict_webhooks, direct_push
        self._billing = {**BILLING, **(billing or {})}
        self._page_schemes = {"https", urlsplit(base_url).scheme}
        self._client = HttpClient(
            base_url=base_url,
            total_timeout_seconds=total_timeout_seconds,
            max_response_bytes=MAX_ANSWER_BYTES,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        methods = [PaymentMethod.MOBILE_PUSH, PaymentMethod.HOSTED_CHECKOUT, PaymentMethod.CARD]
        if c2b_token:
            methods.append(PaymentMethod.CONTROL_NUMBER)
        else:
            self.inquiry_actions = self.webhook_actions = ()
        self.capabilities = Capabilities(
            methods=tuple(methods),
            currencies=(CURRENCY,),
            whole_unit_currencies=(CURRENCY,),
            can_cancel=True,
            signs_webhooks=strict_webhooks,
            payout_methods=(PayoutMethod.MOBILE_WALLET, PayoutMethod.BANK_ACCOUNT) if pin else (),
            payout_currencies=(CURRENCY,) if pin else (),
            payout_limits={CURRENCY: Limit(minimum=Money.from_major(1000, CURRENCY))},
            has_balance=bool(pin),
            has_statement=True,
            statement_subjects=(Subject.PAYMENT,),
            # Only orders are listed: no number that a payer typed, no prompt without an order.
            statement_methods=tuple(
                method
                for method in methods
                if method is not PaymentMethod.CONTROL_NUMBER
                and not (direct_push and method is PaymentMethod.MOBILE_PUSH)
            ),
        )

    # Money in.

    def start(self, request: AttemptRequest) -> StartOutcome:
        """Make the order, then send the payer a prompt or to a page; or give out a number.

        Only the second call of a push reaches the payer, and it is made at most once.
        """
        if request.method is PaymentMethod.CONTROL_NUMBER:
            return StartOutcome(
                result=StartResult.ACCEPTED, payer_code=control_number(request.reference)
            )
        msisdn = msisdn_of(request.phone_e164)
        if request.method is PaymentMethod.MOBILE_PUSH and not msisdn:
            return StartOutcome(
                result=StartResult.REFUSED,
                failure_code=FailureCode.INVALID_REQUEST,
                failure_message="Selcom sends prompts to Tanzanian numbers only.",
            )
        if request.method is PaymentMethod.MOBILE_PUSH and self._direct_push:
            return self._push_directly(request, msisdn)
        full = request.method is PaymentMethod.CARD
        path = "/v1/checkout/create-order" if full else "/v1/checkout/create-order-minimal"
        fields = order_fields(
            request,
            vendor=self._vendor,
            webhook_url=self._callback_url,
            cancel_url=self._cancel_url,
            billing=self._billing,
        )
        reply = self._call("POST", path, fields)
        if reply.verdict is not Verdict.DONE:
            return self._order_not_made(request.reference, reply)
        if request.method is PaymentMethod.MOBILE_PUSH:
            return self._push(request.reference, msisdn)
        return StartOutcome(
            result=StartResult.ACCEPTED,
            checkout_url=read_page_url(reply, schemes=self._page_schemes),
        )

    def query(self, handle: CallHandle) -> list[Observation]:
        """Ask for the order; for a number only once somebody has paid on it."""
        if handle.method == PaymentMethod.CONTROL_NUMBER:
            return [self._query_control_number(handle)]
        if handle.method == PaymentMethod.MOBILE_PUSH and self._direct_push:
            pushed = self._query_direct_push(handle)
            if pushed.claim is not Claim.NOT_FOUND:
                return [pushed]
            # Perhaps it went out as an order, before `direct_push` was switched on.
        reply = self._ask_order(handle.reference)
        if reply.verdict is Verdict.NOT_FOUND:
            return [Observation(reference=handle.reference, claim=Claim.NOT_FOUND)]
        if reply.verdict is not Verdict.DONE:
            raise learned_nothing(reply)
        if not reply.rows:
            raise AnswerUnreadable("Selcom: the order's status has no data.")
        observations = [observe_order(row) for row in reply.rows]
        if any(observation.reference != handle.reference for observation in observations):
            raise AnswerUnreadable("Selcom: it answered about another order.")
        return observations

    def cancel(self, handle: CallHandle) -> None:
        """Cancel the order. One that is over, or not there, is refused, which is fine too.

        Nothing takes a direct push off the phone; its order is never there.
        """
        if handle.method == PaymentMethod.CONTROL_NUMBER:
            return  # Selcom knows nothing of it; our answer to its inquiry changes.
        reply = self._call("DELETE", "/v1/checkout/cancel-order", {"order_id": handle.reference})
        if reply.verdict not in {Verdict.DONE, Verdict.REFUSED, Verdict.NOT_FOUND}:
            raise learned_nothing(reply)

    def _order_not_made(self, reference: str, reply: Reply) -> StartOutcome:
        """Say what the refusal of an order means. The payer has seen nothing of this call."""
        if reply.verdict is Verdict.BUSY:
            return StartOutcome(
                result=StartResult.TRY_LATER, retry_after_seconds=reply.retry_after_seconds
            )
        if reply.verdict not in {Verdict.REFUSED, Verdict.NOT_FOUND, Verdict.DOOR}:
            raise learned_nothing(reply)
        if reply.verdict is Verdict.DOOR or reply.code == _MISSING_PARAMETER_CODE:
            return refusal(reply)
        # No code is documented for an order that exists already: an earlier call of ours
        # may have made it, and may have sent a prompt.
        try:
            known = self._ask_order(reference)
        except NotSent as error:
            raise NoAnswer("Selcom: refused the order, and could not be asked why.") from error
        if known.verdict is Verdict.NOT_FOUND:
            return refusal(reply)
        if known.verdict is Verdict.DONE:
            return StartOutcome(result=StartResult.DUPLICATE)
        raise learned_nothing(known)

    def _push(self, reference: str, msisdn: str) -> StartOutcome:
        try:
            reply = self._call(
                "POST",
                "/v1/checkout/wallet-payment",
                {"transid": fresh_id(), "order_id": reference, "msisdn": msisdn},
            )
        except NotSent:
            # Not "send it again": the order exists by now, and a repeated order id has no
            # documented answer. The payer saw nothing and may try again under another one.
            return StartOutcome(
                result=StartResult.REFUSED,
                failure_code=FailureCode.PROVIDER_UNREACHABLE,
                failure_message="The order was made, but the prompt could not be sent.",
            )
        if reply.verdict in {Verdict.DONE, Verdict.RUNNING}:
            return StartOutcome(result=StartResult.ACCEPTED)
        return refusal(reply)

    def _push_directly(self, request: AttemptRequest, msisdn: str) -> StartOutcome:
        """Send the prompt in one call. Our reference is the number that is paid on, too."""
        fields = direct_push_fields(request, vendor=self._vendor, msisdn=msisdn)
        reply = self._call("POST", "/v1/wallet/pushussd", fields)
        if reply.verdict in {Verdict.DONE, Verdict.RUNNING}:
            return StartOutcome(result=StartResult.ACCEPTED)
        return refusal(reply)

    def _query_direct_push(self, handle: CallHandle) -> Observation:
        reply = self._call("GET", "/v1/c2b/query-status", {"transid": handle.reference})
        claim = claim_of_query(reply)
        if claim is Claim.SUCCESS and not _C2B_PAID.search(reply.message):
            claim = Claim.ACCEPTED
        # Without the amount it settles nothing: the notification does, or a person.
        return Observation(
            reference=handle.reference,
            claim=claim,
            failure_code=failure_code_of(reply) if claim is Claim.FAILURE else None,
            failure_message=reply.message if claim is Claim.FAILURE else "",
        )

    def _ask_order(self, reference: str) -> Reply:
        return self._call("GET", "/v1/checkout/order-status", {"order_id": reference})

    def _query_control_number(self, handle: CallHandle) -> Observation:
        if not handle.provider_ref:
            # There is nothing to ask about before somebody pays; then it is told.
            return Observation(reference=handle.reference, claim=Claim.ACCEPTED)
        reply = self._call("GET", "/v1/c2b/query-status", {"reference": handle.provider_ref})
        claim = claim_of_query(reply)
        if claim is Claim.SUCCESS and not _C2B_PAID.search(reply.message):
            claim = Claim.ACCEPTED
        # Without the amount, which this answer has not: it confirms, it does not settle.
        return Observation(
            reference=handle.reference, claim=claim, provider_ref=handle.provider_ref
        )

    # What Selcom tells us.

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Check the token of a notification, or the signature of an order's webhook.

        An order's webhook without a signature is let in unless `strict_webhooks`: it only
        makes us ask.
        """
        event = load_event(request.body)
        verified = describe_event(event)
        if is_notification(event):
            self._require_token(request)
        elif "digest" in request.headers or self._strict_webhooks:
            require_signature(request, event, api_secret=self._credentials[1])
        return verified

    def read_webhook(self, body: bytes) -> list[Observation]:
        """Read a notification, which moves money, or an order's webhook, which is a hint."""
        return [observe_event(load_event(body))]

    def open_inquiry(self, request: WebhookRequest, *, action: str) -> Inquiry:
        """Check the token and read a lookup or a validation."""
        self._require_token(request)
        return read_inquiry(load_event(request.body), action=action)

    def answer_inquiry(self, inquiry: Inquiry, reply: InquiryReply) -> WebhookAck:
        """Answer 000 with the amount and what it is for, or why not."""
        return write_reply(inquiry, reply)

    def _require_token(self, request: WebhookRequest) -> None:
        given, expected = request.headers.get("authorization", ""), f"Bearer {self._c2b_token}"
        if not self._c2b_token or not hmac.compare_digest(given.encode(), expected.encode()):
            raise SignatureInvalid("Selcom: the token is not the one that we chose.")

    # Money out.

    def payout_rail(self, request: PayoutRequest) -> str:
        """Choose wallet cash-in, Selcom Pesa (bank code SPSCASHIN) or Qwiksend.

        Raises:
            ValueError: the destination lacks something, or names a wallet that is none.
        """
        return choose_rail(request.destination)

    def preview_payout(self, request: PayoutRequest) -> PayoutPreview:
        """Ask for the receiver's name; empty where Selcom refuses to tell. It tells no fee."""
        rail = request.rail or self.payout_rail(request)
        fields = lookup_fields(request.destination, rail=rail)
        reply = self._call("GET", f"/v1/{rail}/{RAILS[rail][1]}", fields)
        if reply.verdict in {Verdict.REFUSED, Verdict.NOT_FOUND}:
            return PayoutPreview()
        if reply.verdict is not Verdict.DONE:
            raise learned_nothing(reply)
        return PayoutPreview(receiver_name=read_text(reply.rows[0], "name") if reply.rows else "")

    def start_payout(self, request: PayoutRequest) -> StartOutcome:
        """Pay out on the stored rail; our reference is the transid, used once."""
        rail = request.rail or self.payout_rail(request)
        fields = payout_fields(
            request, rail=rail, vendor=self._float_vendor, pin=self._pin, billing=self._billing
        )
        reply = self._call("POST", f"/v1/{rail}/{RAILS[rail][0]}", fields)
        if reply.verdict is Verdict.DONE:
            return StartOutcome(
                result=StartResult.DONE, money=request.money, provider_ref=reply.reference
            )
        if reply.verdict is Verdict.RUNNING:
            return StartOutcome(result=StartResult.ACCEPTED)
        return refusal(reply)

    def query_payout(self, handle: CallHandle) -> list[Observation]:
        """Ask the rail that paid: another one does not know the transid."""
        if handle.rail not in RAILS:
            raise ValueError(f"Selcom has no rail {handle.rail!r}.")
        reply = self._call("GET", f"/v1/{handle.rail}/query", {"transid": handle.reference})
        claim = claim_of_query(reply)
        return [
            Observation(
                subject=Subject.PAYOUT,
                reference=handle.reference,
                claim=claim,
                # Other answers have a reference of their own.
                provider_ref=reply.reference if claim is Claim.SUCCESS else "",
                failure_code=failure_code_of(reply) if claim is Claim.FAILURE else None,
                failure_message=reply.message if claim is Claim.FAILURE else "",
            )
        ]

    # Selcom's books.

    def list_balances(self) -> list[Money]:
        """Return what the float holds; collected money is another account."""
        fields = {"vendor": self._float_vendor, "pin": self._pin, "transid": fresh_id()}
        reply = self._call("POST", "/v1/vendor/balance", fields)
        if reply.verdict is not Verdict.DONE:
            raise learned_nothing(reply)
        balance = read_money(reply.rows[0].get("balance")) if reply.rows else None
        if balance is None:
            raise AnswerUnreadable("Selcom: the answer has no balance.")
        return [balance]

    def fetch_statement(
        self, *, first: date, last: date, currency: str
    ) -> Sequence[StatementEntry]:
        """Return the paid orders that were made in those days, or on the day before.

        Such a one may have been paid on the first of them. No fees or payouts are listed.
        """
        if currency != CURRENCY:
            return []
        reply = self._call(
            "GET",
            "/v1/checkout/list-orders",
            {"fromdate": (first - timedelta(days=1)).isoformat(), "todate": last.isoformat()},
        )
        if reply.verdict is Verdict.NOT_FOUND:
            return []
        if reply.verdict is not Verdict.DONE:
            raise learned_nothing(reply)
        paid = [row for row in reply.rows if order_claim(row)[0] is Claim.SUCCESS]
        return [read_statement_row(row) for row in paid]

    def _call(self, method: str, path: str, fields: Fields) -> Reply:
        """Sign, send once, classify; every call has a time stamp of its own."""
        timestamp = datetime.now(EAST_AFRICA).isoformat(timespec="seconds")
        key, secret = self._credentials
        answer = self._client.request(
            method,
            path,
            headers=sign_headers(fields, timestamp=timestamp, api_key=key, api_secret=secret),
            json=dict(fields) if method == "POST" else None,
            params=dict(fields) if method != "POST" else None,
        )
        reply = classify(answer)
        # What Selcom's help desk asks for, without a secret or a person.
        extra = {
            "provider": self.name,
            "call": f"{method} {path}",
            "call_id": fields.get("transid") or fields.get("order_id"),
            "called_at": timestamp,
            "http_status": answer.status,
            "resultcode": reply.code,
            "company_ref": reply.reference,
        }
        if reply.verdict is Verdict.DOOR:
            log.error("payment.provider_setup", extra={**extra, "answer": reply.message})
        else:
            log.debug("payment.provider_called", extra=extra)
        return reply
