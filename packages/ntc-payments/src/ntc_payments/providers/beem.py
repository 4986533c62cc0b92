"""Beem: the Bpay checkout page and pay-bill collections, in whole Tanzanian shillings.

Beem answers no question about a payment and signs nothing: what we know comes from its
callbacks, proven by a token that we chose, or by the secret path.
Source: docs/providers/beem.md; what is guessed there is listed under "Guesses".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from ntc_core.http import AnswerUnreadable, HttpAnswer, HttpClient, NoAnswer
from ntc_core.money import InvalidMoney, Money
from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookAck,
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
    FailureCode,
    Observation,
    PaymentMethod,
    PayoutMethod,
    PayoutRequest,
    StartOutcome,
    StartResult,
    Trust,
)

__all__ = ["BeemProvider", "payer_code_of", "transaction_id_of"]

log = logging.getLogger("ntc_payments")

CURRENCY = "TZS"
PAYER_CODE_DIGITS = 12
LONGEST_URL = 2000
ERROR_PAGE = "/checkout/error"

# Codes of the checkout; the same numbers mean other things in Beem's other products.
_CHECKOUT_REFUSALS: Mapping[int, FailureCode] = {
    100: FailureCode.INVALID_REQUEST,  # number
    101: FailureCode.INVALID_REQUEST,  # amount
    102: FailureCode.INVALID_REQUEST,  # transaction id
    120: FailureCode.PROVIDER_REFUSED,  # keys
}
_CHECKOUT_CLAIMS: Mapping[str, tuple[Claim, FailureCode | None]] = {
    "success": (Claim.SUCCESS, None),
    "failed": (Claim.FAILURE, FailureCode.DECLINED),
    "failure": (Claim.FAILURE, FailureCode.DECLINED),
    "cancelled": (Claim.FAILURE, FailureCode.CANCELED),
    "canceled": (Claim.FAILURE, FailureCode.CANCELED),
}
_PAYOUT_ACCEPTED = frozenset({100, 114})
# Not 103 and 104: "no credit" here is "network" elsewhere, and a time-out may have paid.
_PAYOUT_REFUSALS: Mapping[int, FailureCode] = {
    101: FailureCode.PROVIDER_REFUSED,
    102: FailureCode.INVALID_REQUEST,
    105: FailureCode.INVALID_REQUEST,
    106: FailureCode.INVALID_REQUEST,
    107: FailureCode.PROVIDER_REFUSED,
    108: FailureCode.PROVIDER_REFUSED,
    109: FailureCode.PROVIDER_REFUSED,
    110: FailureCode.PROVIDER_REFUSED,
    111: FailureCode.INVALID_REQUEST,
    112: FailureCode.INVALID_REQUEST,
    113: FailureCode.INVALID_REQUEST,
    120: FailureCode.PROVIDER_REFUSED,
}


class BeemProvider(PaymentProvider):
    """Collects on a page or by pay bill; pays out to wallets where that is switched on."""

    name: ClassVar[str] = "beem"
    title: ClassVar[str] = "Beem"

    def __init__(
        self,
        *,
        api_key: str,
        secret_key: str,
        secure_token: str = "",
        checkout_base_url: str = "https://checkout.beem.africa",
        reference_prefix: str = "",
        paybill_number: str = "",
        disbursement_base_url: str = "",
        disbursement_account: str = "",
        disbursement_wallet_code: str = "",
        balance_base_url: str = "https://apitopup.beem.africa",
        total_timeout_seconds: float = 30.0,
    ) -> None:
        """Args:
        secure_token: what checkout callbacks carry, where Beem's dashboard fixes it; empty:
            one of its own per payment, derived from the secret key.
        checkout_base_url: also the only host whose pages a payer is sent to.
        reference_prefix: what Beem wants every reference number to start with, "SHOP-".
        paybill_number: switches control numbers on. Their callbacks carry no proof, so all
            of Beem's must then come by the path with the secret suffix.
        disbursement_base_url: switches payouts on. Beem has two addresses in use; ask which
            is yours before anything is paid out.
        disbursement_account: the account that payouts are taken from.
        disbursement_wallet_code: of the wallets; a payout may name its own as `bank_code`.
        total_timeout_seconds: for one call.
        """
        if disbursement_base_url and not disbursement_account:
            raise ValueError("Beem pays out only with a disbursement_account to take it from.")
        self._secret_key = secret_key.encode()
        self._secure_token = secure_token
        self._reference_prefix = reference_prefix
        self._paybill_number = paybill_number
        self._account = disbursement_account
        self._wallet_code = disbursement_wallet_code
        basic = base64.b64encode(f"{api_key}:{secret_key}".encode()).decode()

        def client(base_url: str) -> HttpClient:
            return HttpClient(
                base_url=base_url,
                total_timeout_seconds=total_timeout_seconds,
                headers={"Authorization": f"Basic {basic}"},
            )

        self._checkout = client(checkout_base_url)
        self._balance = client(balance_base_url)
        self._disbursement = client(disbursement_base_url) if disbursement_base_url else None
        self.capabilities = Capabilities(
            methods=(PaymentMethod.HOSTED_CHECKOUT,)
            + ((PaymentMethod.CONTROL_NUMBER,) if paybill_number else ()),
            currencies=(CURRENCY,),
            whole_unit_currencies=(CURRENCY,),
            can_query=False,
            signs_webhooks=not paybill_number,
            payout_methods=(PayoutMethod.MOBILE_WALLET,) if disbursement_base_url else (),
            payout_currencies=(CURRENCY,) if disbursement_base_url else (),
            has_balance=True,
        )

    # Money in.

    def start(self, request: AttemptRequest) -> StartOutcome:
        """Ask for the checkout page. A control number is ours to make: nobody is called."""
        if request.method is PaymentMethod.CONTROL_NUMBER:
            return StartOutcome(
                result=StartResult.ACCEPTED, payer_code=payer_code_of(request.reference)
            )
        transaction_id = transaction_id_of(request.reference)
        optional = {"mobile": request.phone_e164.removeprefix("+"), "email": request.payer.email}
        answer = self._checkout.request(
            "GET",
            "/v1/checkout",
            params={
                "amount": _whole_shillings(request.money),
                "transaction_id": transaction_id,
                "reference_number": f"{self._reference_prefix}{request.reference}",
                **{name: value for name, value in optional.items() if value},
                "sendSource": "true",
            },
            headers={"beem-secure-token": self._token_of(transaction_id)},
        )
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return StartOutcome(
                result=StartResult.TRY_LATER, retry_after_seconds=_retry_after(answer)
            )
        return self._page(answer, transaction_id)

    def _page(self, answer: HttpAnswer, transaction_id: str) -> StartOutcome:
        """Read the address of the page, which may be the address of an error."""
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise NoAnswer(f"Beem: HTTP {answer.status} is not a documented answer.")
        redirected = HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST
        body = {"src": answer.headers.get("location")} if redirected else _object(answer)
        address = body.get("src")
        if not isinstance(address, str):
            code, message = _code(body)
            if code not in _CHECKOUT_REFUSALS:
                raise AnswerUnreadable(f"Beem: neither a page nor a known code ({code}).")
            return _refused(_CHECKOUT_REFUSALS[code], f"{code} {message}")
        try:
            page, ours = urlsplit(address), urlsplit(self._checkout.base_url)
        except ValueError as error:
            raise AnswerUnreadable("Beem: the address of the page is not one.") from error
        if page.path.rstrip("/").endswith(ERROR_PAGE):
            message = " ".join(parse_qs(page.query).get("message", ["no reason given"]))
            lower = message.lower()
            setup = "payment method" in lower or "client" in lower
            code_there = FailureCode.PROVIDER_REFUSED if setup else FailureCode.INVALID_REQUEST
            return _refused(code_there, message)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise AnswerUnreadable(f"Beem: HTTP {answer.status} with a page is not documented.")
        # `netloc`, not `hostname`: "checkout.beem.africa@evil.example" must not pass.
        if (page.scheme, page.netloc) != (ours.scheme, ours.netloc) or len(address) > LONGEST_URL:
            raise AnswerUnreadable("Beem: the page is not on the configured checkout host.")
        return StartOutcome(
            result=StartResult.ACCEPTED, provider_ref=transaction_id, checkout_url=address
        )

    def query(self, handle: CallHandle) -> list[Observation]:  # noqa: ARG002 - never asked
        """Beem has no such question; `capabilities.can_query` says so."""
        self._cannot("tell what became of a payment")

    # What the company tells us.

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Compare the token of a checkout callback; a collection is proven by its path.

        Raises:
            SignatureInvalid: wrong or no token; or a collection although no pay-bill number
                is configured, so that nobody checked the path.
        """
        try:
            body = load_event(request.body, company="Beem")
        except PayloadUnreadable as error:
            # Without a readable body there is nothing that a token could prove.
            raise SignatureInvalid(str(error)) from error
        if "referenceNumber" in body:
            return self._open_checkout(request, body)
        if not self._paybill_number:
            raise SignatureInvalid("Beem: a call without token, and no paybill_number is set.")
        transaction_id = _text(body, "transaction_id", "remote_transaction_id")
        ack = {"transaction_id": transaction_id, "successful": True}
        return VerifiedWebhook(
            dedupe_key=f"collection:{transaction_id}", event_type="collection", ack=_ack(ack)
        )

    def _open_checkout(self, request: WebhookRequest, body: Mapping[str, Any]) -> VerifiedWebhook:
        headers = {name.lower(): value for name, value in request.headers.items()}
        given = headers.get("beem-secure-token", "").encode(errors="replace")
        transaction_id = str(body.get("transactionID") or body.get("transactionId") or "")
        if not hmac.compare_digest(given, self._token_of(transaction_id).encode()):
            raise SignatureInvalid("Beem: the secure token is wrong or missing.")
        if not transaction_id:
            raise PayloadUnreadable("Beem: transactionID is missing.")
        status = _status(body)
        ack = {
            "amount": str(body.get("amount")),
            "status": True,
            "referenceNumber": _text(body, "referenceNumber"),
            "statusMessage": "Received",
            "transactionID": transaction_id,
        }
        return VerifiedWebhook(
            dedupe_key=f"checkout:{transaction_id}:{status}",
            event_type=f"checkout.{status or 'unknown'}",
            ack=_ack(ack),
        )

    def read_webhook(self, body: bytes) -> list[Observation]:
        """Read a verified callback. The core compares amount and reference."""
        values = load_event(body, company="Beem")
        read = self._read_checkout if "referenceNumber" in values else self._read_collection
        try:
            return [read(values)]
        except PayloadUnreadable:
            raise
        except ValueError as error:
            raise PayloadUnreadable(f"Beem: {error}") from error

    def _read_checkout(self, body: Mapping[str, Any]) -> Observation:
        number = _text(body, "referenceNumber")
        # Another merchant's number is nobody's reference: the money ends as unmatched.
        ours = number.startswith(self._reference_prefix)
        reference = number.removeprefix(self._reference_prefix) if ours else ""
        transaction_id = _text(body, "transactionID", "transactionId")
        status = _status(body)
        claim, failure_code = _CHECKOUT_CLAIMS.get(status, (Claim.ACCEPTED, None))
        is_ours = transaction_id == transaction_id_of(reference)
        if status not in _CHECKOUT_CLAIMS or not is_ours:
            extra = {"provider": self.name, "status": status[:50], "is_ours": is_ours}
            log.error("payment.callback_odd", extra=extra)
        return Observation(
            reference=reference,
            claim=claim,
            money=_money(body.get("amount"), CURRENCY),
            provider_ref=transaction_id,
            # A transaction that we did not start proves nothing about our payment.
            trust=Trust.STRONG if is_ours or not reference else Trust.HINT,
            failure_code=failure_code,
            occurred_at=_moment(body.get("timestamp")),
        )

    def _read_collection(self, body: Mapping[str, Any]) -> Observation:
        """Read money that has been collected already; there is no other kind of collection."""
        reference = _text(body, "reference_number").strip()
        # Money of another pay bill is not for the number that it names here.
        ours = _text(body, "paybill_number").strip() == self._paybill_number
        currency = _text(body, "target_currency", "currency_to").upper()
        return Observation(
            reference=reference if ours else "",
            claim=Claim.SUCCESS,
            money=_money(body.get("amount_collected"), currency),
            provider_ref=_text(body, "transaction_id", "remote_transaction_id"),
            occurred_at=_moment(body.get("timestamp")),
        )

    def _token_of(self, transaction_id: str) -> str:
        if self._secure_token:
            return self._secure_token
        # Strangers name the transaction, also one that has no bytes (half of a UTF-16 pair).
        message = f"beem-secure-token:{transaction_id}".encode(errors="replace")
        return hmac.new(self._secret_key, message, hashlib.sha256).hexdigest()

    # Money out.

    def start_payout(self, request: PayoutRequest) -> StartOutcome:
        """Pay out to a wallet. Nothing tells later that it arrived: a person closes it."""
        if self._disbursement is None:
            self._cannot("pay out")
        destination = request.destination
        wallet = {
            "wallet_number": destination.phone_e164.removeprefix("+"),
            "wallet_code": destination.bank_code or self._wallet_code,
            "currency": CURRENCY,
        }
        answer = self._disbursement.request(
            "POST",
            "/transfer",
            json={
                "amount": _whole_shillings(request.money),
                "client_reference_id": request.reference,
                "source": {"account_no": self._account, "currency": CURRENCY},
                "destination": {"mobile": wallet},
            },
        )
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise NoAnswer(f"Beem: HTTP {answer.status} may have paid out.")
        body = _object(answer)
        code, message = _code(body)
        if code in _PAYOUT_ACCEPTED and answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return StartOutcome(
                result=StartResult.ACCEPTED, provider_ref=_text(body, "transaction_id")
            )
        if code in _PAYOUT_REFUSALS:
            return _refused(_PAYOUT_REFUSALS[code], f"{code} {message}")
        raise NoAnswer(f"Beem: code {code} (HTTP {answer.status}) may have paid out.")

    # What the company has to know before.

    def allow_website(self, website: str) -> None:
        """Put a site on Beem's whitelist: its checkout button works on listed sites only.

        Once per site and not per payment; listing it twice does no harm.

        Args:
            website: with its scheme, "https://shop.example.com".

        Raises:
            ValueError: that is not the address of a site.
            NotSent, NoAnswer, AnswerUnreadable: as everywhere; `NoAnswer` with Beem's sentence
                where it refuses.
        """
        parts = urlsplit(website)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not website.isprintable():
            raise ValueError(f"Beem lists sites such as https://shop.example.com, not {website!r}.")
        answer = self._checkout.request(
            "POST", "/v1/whitelist/add-to-list", json={"website": website}
        )
        body = _object(answer)
        # Its HTTP status is repeated in the body, and errors hide behind a 200.
        if answer.status != HTTPStatus.OK or str(body.get("status")) != "200":
            code, message = _code(body)
            raise NoAnswer(f"Beem did not list the site: HTTP {answer.status} {code} {message}")

    # The company's books.

    def list_balances(self) -> list[Money]:
        """Return the Bpay balance; fractions of a cent are cut off."""
        answer = self._balance.request("GET", "/v1/credit-balance", params={"app_name": "BPAY"})
        if answer.status != HTTPStatus.OK:
            raise NoAnswer(f"Beem: HTTP {answer.status} to the question for the balance.")
        return [_balance(_object(answer))]


def transaction_id_of(reference: str) -> str:
    """Return Beem's id of our attempt: derived, so that it is known if the answer is lost.

    A version 4 UUID in form. Its 122 free bits may come from any good generator (RFC 9562,
    5.4); here it is SHA-256 of the reference.
    """
    digest = hashlib.sha256(f"ntc-payments/beem/{reference}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def payer_code_of(reference: str) -> str:
    """Return the number that a payer types: 11 derived digits and a check digit (Luhn)."""
    digest = hashlib.sha256(f"ntc-payments/beem/code/{reference}".encode()).digest()
    # No leading zero: a phone or a person would drop it.
    lowest = 10 ** (PAYER_CODE_DIGITS - 2)
    number = str(lowest + int.from_bytes(digest) % (9 * lowest))
    doubled = (2 * int(digit) for digit in number[::-2])
    total = sum(value - 9 if value > 9 else value for value in doubled)  # noqa: PLR2004 - Luhn
    total += sum(int(digit) for digit in number[-2::-2])
    return f"{number}{-total % 10}"


def _whole_shillings(money: Money) -> str:
    """Return digits only.

    Raises:
        ValueError: there are cents; the capabilities keep such a payment away.
    """
    if money.currency != CURRENCY or not money.is_whole:
        raise ValueError(f"Beem takes whole shillings, not {money}.")
    return money.to_major().removesuffix(".00")


def _code(body: Mapping[str, Any]) -> tuple[int, str]:
    """Return code and text of an error, which may lie one level down; 0: there is none."""
    data = body.get("data")
    for level in (body, data if isinstance(data, dict) else {}):
        text = str(level.get("code", ""))
        if text.isascii() and text.isdecimal():
            return int(text), str(level.get("message", ""))
    return 0, ""


def _refused(code: FailureCode, message: str) -> StartOutcome:
    return StartOutcome(
        result=StartResult.REFUSED,
        failure_code=code,
        failure_message=message[:LONGEST_FAILURE_MESSAGE],
    )


def _status(body: Mapping[str, Any]) -> str:
    status = body.get("status")
    return status.strip().lower() if isinstance(status, str) else ""


def _ack(body: Mapping[str, Any]) -> WebhookAck:
    return WebhookAck(body=json.dumps(body, separators=(",", ":")).encode())


def _balance(body: Mapping[str, Any]) -> Money:
    """Read `credit_bal`, wherever it lies."""
    infos = body.get("balance_infos")
    entries = (
        [entry for entry in infos if isinstance(entry, dict)] if isinstance(infos, list) else []
    )
    named = [entry for entry in entries if entry.get("app_name") == "BPAY"]
    for level in (body.get("data"), body.get("code"), *(named or entries), body):
        if isinstance(level, dict) and "credit_bal" in level:
            try:
                amount = Decimal(str(level["credit_bal"]))
                return Money.from_major(amount.quantize(Decimal("0.01"), ROUND_DOWN), CURRENCY)
            except (InvalidOperation, InvalidMoney) as error:
                raise AnswerUnreadable("Beem: the balance is not a number.") from error
    raise AnswerUnreadable("Beem: the answer has no balance.")


def _money(amount: object, currency: str) -> Money:
    """Read `"25000"`, `25000` and `"25000.00"`; anything else is no amount."""
    if isinstance(amount, bool) or not isinstance(amount, str | int | Decimal):
        raise PayloadUnreadable("Beem: the amount is missing.")
    try:
        return Money.from_major(amount, currency)
    except InvalidMoney as error:
        raise PayloadUnreadable(f"Beem: {error}") from error


def _moment(value: object) -> datetime | None:
    """Read a time of the company's clock; nonsense is left out."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _retry_after(answer: HttpAnswer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _object(answer: HttpAnswer) -> dict[str, Any]:
    body = answer.json()
    if not isinstance(body, dict):
        raise AnswerUnreadable("Beem: expected a JSON object.")
    return body


def _text(values: Mapping[str, Any], *names: str) -> str:
    """Return the first of those fields that is there; numbers too are ids there."""
    for name in names:
        value = values.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value:
            return value
    raise PayloadUnreadable(f"Beem: {names[0]} is missing.")
