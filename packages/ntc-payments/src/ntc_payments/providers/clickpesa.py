"""ClickPesa: USSD pushes, cards, checkout links, control numbers, payouts in Tanzania.

There is no sandbox: with real keys every call moves real money.
Source: docs/providers/clickpesa.md; what is guessed there is listed under "Guesses".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import quote

from ntc_core.http import AnswerUnreadable, HttpAnswer, HttpClient, HttpFailure, NoAnswer, NotSent
from ntc_core.money import CURRENCY_EXPONENTS, InvalidMoney, Money
from ntc_core.webhooks.types import (
    PayloadUnreadable,
    SignatureInvalid,
    VerifiedWebhook,
    WebhookRequest,
)

from ntc_payments.providers.base import PaymentProvider
from ntc_payments.providers.bodies import load_json
from ntc_payments.types import (
    LONGEST_FAILURE_MESSAGE,
    AttemptRequest,
    CallHandle,
    Capabilities,
    Claim,
    FailureCode,
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
    Trust,
)

__all__ = ["ClickPesaProvider", "compute_checksum", "signed_text"]

log = logging.getLogger("ntc_payments")

#: A token lives for an hour; the rest is for clocks and calls under way.
TOKEN_LIFE_SECONDS = 55 * 60
#: A statement has no pages; about ten thousand lines.
LARGEST_ANSWER_BYTES = 2 * 1024 * 1024
#: "Default cooldown" after a payout; the answer may name another wait.
PAYOUT_COOLDOWN_SECONDS = 60.0
#: "Success" means that it was taken; it is advised to look for so long whether it came back.
PAYOUT_WATCH_SECONDS = 3 * 24 * 3600
#: The cap of 100 calls a day before an account is verified ends at midnight.
DAILY_CAP_WAIT_SECONDS = 3600.0
#: ACH takes no more; above it a bank payout goes by RTGS.
LARGEST_ACH = Money.from_major(20_000_000, "TZS")
LONGEST_REFERENCE = 20
LONGEST_DESCRIPTION = 500
CONTROL_NUMBER_DIGITS = 14

_EAT = timezone(timedelta(hours=3), "EAT")

# A status that is not listed means "on its way", and somebody should look.
_PAYMENT_CLAIMS: Mapping[str, Claim] = {
    "PENDING": Claim.ACCEPTED,
    "PROCESSING": Claim.ACCEPTED,
    "SUCCESS": Claim.SUCCESS,
    "SETTLED": Claim.SUCCESS,
    "FAILED": Claim.FAILURE,
    "REFUNDED": Claim.REVERSED,
    "REVERSED": Claim.REVERSED,
}
_PAYOUT_CLAIMS: Mapping[str, Claim] = {**_PAYMENT_CLAIMS, "AUTHORIZED": Claim.ACCEPTED}

# Event -> what it is about, and its status where the data has none.
_EVENTS: Mapping[str, tuple[Subject, str]] = {
    "PAYMENT RECEIVED": (Subject.PAYMENT, "SUCCESS"),
    "PAYMENT FAILED": (Subject.PAYMENT, "FAILED"),
    "PAYOUT INITIATED": (Subject.PAYOUT, "PROCESSING"),
    "PAYOUT REFUNDED": (Subject.PAYOUT, "REFUNDED"),
    "PAYOUT REVERSED": (Subject.PAYOUT, "REVERSED"),
}

# Parts of messages, lower case.
_LACKS_MONEY = ("insufficient balance", "insufficient funds")
_IS_OUR_SETUP = (
    "valid client id is required",
    "application has no access",
    "invalid checksum",
    "account has no payment collection methods",
    "account has no valid payment method",
    "merchant shop does not exist",
)
_UNKNOWN_THERE = "invalid or missing"
_DAILY_CAP = "calls per day"

# Documented answers to a call for a token; all others are no answer.
_NO_TOKEN_STATUSES = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
# These 4xx say that a machine on the way gave up, not that the company refused.
_UNCLEAR_STATUSES = frozenset({HTTPStatus.REQUEST_TIMEOUT, 499})


class ClickPesaProvider(PaymentProvider):
    """Collects by phone, card, page or control number; pays out to wallets and banks."""

    name: ClassVar[str] = "clickpesa"
    title: ClassVar[str] = "ClickPesa"

    def __init__(
        self,
        *,
        base_url: str,
        client_id: str,
        api_key: str,
        checksum_key: str = "",
        checksum_method: str = "canonical",
        callback_url: str = "",
        preview: bool = True,
        minimum: int | str = 1000,
        total_timeout_seconds: float = 15.0,
    ) -> None:
        """Args:
        checksum_key: where checksums are switched on in the dashboard; empty: neither our
            calls are signed nor webhooks proven.
        checksum_method: "canonical", or "legacy" for an account that never migrated.
        callback_url: told to hosted checkout pages; the other webhooks are set in the dashboard.
        preview: ask before a push whether it can be made; False saves one call of two.
        minimum: the smallest payment in shillings.
        total_timeout_seconds: for one call. A start that needs several (token, preview) is
            over after three times as long.
        """
        if checksum_method not in {"canonical", "legacy"}:
            raise ValueError(f"checksum_method is 'canonical' or 'legacy', not {checksum_method!r}")
        self._checksum_key = checksum_key
        self._checksum_method = checksum_method
        self._callback_url = callback_url
        self._preview = preview
        self._seconds_for_new_calls = 2 * total_timeout_seconds
        self._client = HttpClient(
            base_url=base_url,
            total_timeout_seconds=total_timeout_seconds,
            max_response_bytes=LARGEST_ANSWER_BYTES,
        )
        self._keys = {"client-id": client_id, "api-key": api_key}
        self._token = _Token(self._fetch_token)
        self.capabilities = Capabilities(
            methods=(
                PaymentMethod.MOBILE_PUSH,
                PaymentMethod.CARD,
                PaymentMethod.HOSTED_CHECKOUT,
                PaymentMethod.CONTROL_NUMBER,
            ),
            currencies=("TZS", "USD"),
            method_currencies={
                PaymentMethod.MOBILE_PUSH: ("TZS",),
                PaymentMethod.CONTROL_NUMBER: ("TZS",),
                PaymentMethod.CARD: ("USD",),
            },
            limits={"TZS": Limit(minimum=Money.from_major(minimum, "TZS"))},
            whole_unit_currencies=("TZS",),
            # A legacy checksum covers the event's name only; see `_legacy_text()`.
            signs_webhooks=bool(checksum_key) and checksum_method == "canonical",
            payout_methods=(PayoutMethod.MOBILE_WALLET, PayoutMethod.BANK_ACCOUNT),
            payout_currencies=("TZS",),
            payout_watch_seconds=PAYOUT_WATCH_SECONDS,
            has_balance=True,
            has_statement=True,
        )

    # Money in.

    def start(self, request: AttemptRequest) -> StartOutcome:
        """Ask once. A preview that is unclear is ignored; one that refuses is an answer."""
        refusal = _refuse_locally(request, self.capabilities)
        if refusal is not None:
            return refusal
        deadline = self._deadline()
        try:
            if request.method is PaymentMethod.MOBILE_PUSH and self._preview:
                refusal = self._preview_push(request, deadline)
                if refusal is not None:
                    return refusal
            path, body = self._spell_start(request)
            answer = self._call("POST", path, body=body, deadline=deadline)
        except _TokenRefused as error:
            return _refusal(error.answer)
        refusal = _refusal_or_none(answer)
        if refusal is not None:
            return refusal
        return _read_start(request, _object(answer))

    def query(self, handle: CallHandle) -> list[Observation]:
        """Ask for all rows under the reference or control number."""
        is_number = handle.method == PaymentMethod.CONTROL_NUMBER
        number = (handle.payer_code or _control_number(handle.reference)) if is_number else ""
        rows = self._rows("payments", number or handle.reference)
        if rows:
            return _observe_rows(rows, handle, Subject.PAYMENT, payer_code=number)
        if handle.method in {PaymentMethod.HOSTED_CHECKOUT, PaymentMethod.CARD}:
            # Assumed, not documented: a page is not in /payments before somebody pays on it.
            claim = Claim.ACCEPTED
        elif is_number and self._has_bill(number):
            claim = Claim.ACCEPTED
        else:
            claim, number = Claim.NOT_FOUND, ""
        return [Observation(reference=handle.reference, claim=claim, payer_code=number)]

    def _preview_push(self, request: AttemptRequest, deadline: float) -> StartOutcome | None:
        """Return why the push cannot be made. What is unclear must not stop the payer: None."""
        path, body = "/payments/preview-ussd-push-request", _spell_push(request)
        try:
            answer = self._call("POST", path, body=body, deadline=deadline)
            refusal = _refusal_or_none(answer)
            if refusal is not None:
                return refusal
            methods = [_require_object(each) for each in _list(_object(answer), "activeMethods")]
        except _TokenRefused:
            raise
        except (HttpFailure, AnswerUnreadable) as error:
            log.warning(
                "payment.preview_unclear",
                extra={"provider": self.name, "error": type(error).__name__},
            )
            return None
        if not methods or any(each.get("status") != "UNAVAILABLE" for each in methods):
            return None
        reasons = "; ".join(
            f"{_word(each, 'name')}: {_word(each, 'message') or 'unavailable'}" for each in methods
        )
        return _refused(FailureCode.PROVIDER_REFUSED, f"No mobile network is open now. {reasons}")

    def _spell_start(self, request: AttemptRequest) -> tuple[str, dict[str, Any]]:
        if request.method is PaymentMethod.MOBILE_PUSH:
            return "/payments/initiate-ussd-push-request", _spell_push(request)
        if request.method is PaymentMethod.CARD:
            return "/payments/initiate-card-payment", _spell_card(request)
        if request.method is PaymentMethod.HOSTED_CHECKOUT:
            return "/checkout-link/generate-checkout-url", _spell_checkout(
                request, callback_url=self._callback_url
            )
        return "/billpay/create-order-control-number", _spell_bill(request)

    def _has_bill(self, number: str) -> bool:
        answer = self._call("GET", f"/billpay/{quote(number, safe='')}")
        if answer.status == HTTPStatus.NOT_FOUND and _message(answer):
            return False
        if _identifier(_object(_require_ok(answer)), "billPayNumber") != number:
            raise AnswerUnreadable("ClickPesa: it answered about another control number.")
        return True

    # What the company tells us.

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Check the checksum over the parsed body; without a key there is none to check."""
        event = _load_event(request.body)
        if self._checksum_key:
            self._require_proof(event, request.headers)
        kind, data = _event_type(event), _event_data(event)
        identity = _identifier(data, "id", "paymentId", "orderReference")
        if not identity:
            # Deposits have no documented fields: then the whole content is what it is.
            text = json.dumps(data, sort_keys=True, default=str)
            identity = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return VerifiedWebhook(
            dedupe_key=f"{kind}:{identity}:{_word(data, 'status')}", event_type=kind
        )

    def read_webhook(self, body: bytes) -> list[Observation]:
        """Read an event as a hint: the company's own advice is to settle from a query."""
        event = _load_event(body)
        kind, data = _event_type(event), _event_data(event)
        if kind not in _EVENTS:
            # A deposit is nobody's payment. People read the event in the inbox.
            log.warning("payment.webhook_for_people", extra={"provider": self.name, "event": kind})
            return []
        subject, usual_status = _EVENTS[kind]
        reference = _identifier(data, "orderReference")
        if not reference:
            raise PayloadUnreadable("ClickPesa: the event has no orderReference.")
        row = {"status": usual_status, **data}
        try:
            return [_observe(row, reference=reference, subject=subject, trust=Trust.HINT)]
        except AnswerUnreadable as error:
            raise PayloadUnreadable(str(error)) from error

    def _require_proof(self, event: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        given = [
            event.get("checksum"),
            headers.get("x-clickpesa-signature"),
            headers.get("x-clickpesa-checksum"),
        ]
        claimed = [
            # Half of a UTF-16 pair has no bytes, and is no checksum either.
            text.strip().lower().encode(errors="replace")
            for text in given
            if isinstance(text, str)
        ]
        # Also accounts on the old method may get webhooks signed by the new one.
        for method in dict.fromkeys(("canonical", self._checksum_method)):
            try:
                expected = compute_checksum(event, key=self._checksum_key, method=method).encode()
            except (ValueError, RecursionError) as error:
                raise SignatureInvalid("ClickPesa: nobody can have signed this body.") from error
            matches = [hmac.compare_digest(each, expected) for each in claimed]
            if any(matches):
                return
        raise SignatureInvalid("ClickPesa: the checksum is missing or does not match the body.")

    # Money out.

    def payout_rail(self, request: PayoutRequest) -> str:
        """Return "MOBILE", or for a bank the kind of transfer that takes the amount."""
        if request.destination.method is PayoutMethod.MOBILE_WALLET:
            return "MOBILE"
        return "ACH" if request.money <= LARGEST_ACH else "RTGS"

    def preview_payout(self, request: PayoutRequest) -> PayoutPreview:
        """Ask for fee and name. A refusal is `NoAnswer` with the company's sentence."""
        path, body = self._spell_payout(request, "preview")
        preview = _object(_require_ok(self._call("POST", path, body=body)))
        receiver = _require_object(preview.get("receiver") or {})
        return PayoutPreview(
            fee=_money(preview.get("fee"), request.money.currency),
            receiver_name=_word(receiver, "accountName"),
        )

    def start_payout(self, request: PayoutRequest) -> StartOutcome:
        """Pay out once. In the cooldown after another payout it is "try later"."""
        refused = _refuse_payout_locally(request, self.capabilities)
        if refused is not None:
            return refused
        path, body = self._spell_payout(request, "create")
        try:
            answer = self._call("POST", path, body=body)
        except _TokenRefused as error:
            return _refusal(error.answer)
        refused = _refusal_or_none(answer, cooldown_seconds=PAYOUT_COOLDOWN_SECONDS)
        if refused is not None:
            return refused
        row = _object(answer)
        _require_reference(row, request.reference)
        return _outcome(_observe(row, reference=request.reference, subject=Subject.PAYOUT))

    def query_payout(self, handle: CallHandle) -> list[Observation]:
        """Ask for all rows of the payout. One that came back is REVERSED, whatever the word."""
        rows = self._rows("payouts", handle.reference)
        if rows:
            return _observe_rows(rows, handle, Subject.PAYOUT)
        return [
            Observation(reference=handle.reference, claim=Claim.NOT_FOUND, subject=Subject.PAYOUT)
        ]

    def list_banks(self) -> dict[str, str]:
        """Return BIC -> name of the banks; the BIC is a destination's `bank_code`.

        Raises:
            NotSent, NoAnswer, AnswerUnreadable: as `start()`.
        """
        banks = _rows_of(_require_ok(self._call("GET", "/list/banks")))
        return {_word(bank, "bic"): _word(bank, "name") for bank in banks if _word(bank, "bic")}

    def _spell_payout(self, request: PayoutRequest, verb: str) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "amount": _whole(request.money),
            "currency": request.money.currency,
            "orderReference": request.reference,
        }
        to = request.destination
        if to.method is PayoutMethod.MOBILE_WALLET:
            body["phoneNumber"] = to.phone_e164.removeprefix("+")
            return f"/payouts/{verb}-mobile-money-payout", body
        body |= {
            "accountNumber": to.account_number,
            "bic": to.bank_code,
            "transferType": request.rail or self.payout_rail(request),
            "accountCurrency": "TZS",
        }
        if verb == "create":
            body["accountName"] = to.name
        return f"/payouts/{verb}-bank-payout", body

    # The company's books.

    def list_balances(self) -> list[Money]:
        """Return the balances in currencies that we know."""
        answer = self._call("GET", "/account/balance")
        if answer.status == HTTPStatus.NOT_FOUND and _message(answer):
            return []  # An account without any transaction.
        return [
            balance
            for row in _rows_of(_require_ok(answer))
            if _word(row, "currency") in CURRENCY_EXPONENTS
            and (balance := _money(row.get("balance"), _word(row, "currency"))) is not None
        ]

    def fetch_statement(
        self, *, first: date, last: date, currency: str
    ) -> Sequence[StatementEntry]:
        """Ask for a day more on each side: in which time zone their day ends is not documented."""
        day = timedelta(days=1)
        answer = self._call(
            "GET",
            "/account/statement",
            params={
                "currency": currency,
                "startDate": (first - day).isoformat(),
                "endDate": (last + day).isoformat(),
            },
        )
        lines = _list(_object(_require_ok(answer)), "transactions")
        # Before the cut: a fee may be booked on the next day.
        entries = _statement_entries([_require_object(line) for line in lines])
        return [
            entry for entry in entries if first <= entry.booked_at.astimezone(_EAT).date() <= last
        ]

    # Calls.

    def _rows(self, kind: str, reference: str) -> list[dict[str, Any]]:
        """Return what is under that reference; an empty list: nothing."""
        answer = self._call("GET", f"/{kind}/{quote(reference, safe='')}")
        # Another 404 comes from a wrong address or a closed account: it says nothing.
        if answer.status == HTTPStatus.NOT_FOUND and _UNKNOWN_THERE in _message(answer).lower():
            return []
        rows = _rows_of(_require_ok(answer))
        for row in rows:
            _require_reference(row, reference)
        return rows

    def _deadline(self) -> float:
        return time.monotonic() + self._seconds_for_new_calls

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        deadline: float | None = None,
    ) -> HttpAnswer:
        """Make one call with a token, and after a 401 once more with a new token.

        That repeats a POST, which is safe here: 401 means that it was refused at the door,
        before anybody read what it asks for.
        """
        deadline = self._deadline() if deadline is None else deadline
        content = None if body is None else self._sign(body)
        token = self._token.get(deadline)
        answer = self._send(method, path, token=token, content=content, params=params)
        if answer.status != HTTPStatus.UNAUTHORIZED:
            return answer
        token = self._token.get(deadline, refused=token)
        return self._send(method, path, token=token, content=content, params=params)

    def _send(
        self,
        method: str,
        path: str,
        *,
        token: str,
        content: bytes | None,
        params: Mapping[str, str] | None,
    ) -> HttpAnswer:
        headers = {"Authorization": token}
        if content is not None:
            headers["Content-Type"] = "application/json"
        return self._client.request(method, path, content=content, params=params, headers=headers)

    def _sign(self, body: Mapping[str, Any]) -> bytes:
        signed = dict(body)
        if self._checksum_key:
            signed["checksum"] = compute_checksum(
                body, key=self._checksum_key, method=self._checksum_method
            )
        return _canonical(signed).encode()

    def _fetch_token(self) -> str:
        try:
            answer = self._client.request("POST", "/generate-token", headers=self._keys)
            if answer.status in _NO_TOKEN_STATUSES:
                _tell_people(answer)
                raise _TokenRefused(answer)
            token = _word(_object(_require_ok(answer)), "token")
        except (NoAnswer, AnswerUnreadable) as error:
            raise NotSent(f"The call was not made: no token. {error}") from error
        if not re.fullmatch(r"(Bearer )?[\x21-\x7e]+", token):
            raise NotSent("The call was not made: ClickPesa's token is none.")
        # Theirs begins with the word already; twice is a 401.
        return token if token.startswith("Bearer ") else f"Bearer {token}"


class _TokenRefused(NotSent):
    """There is no token for us, so the call itself was never made."""

    def __init__(self, answer: HttpAnswer) -> None:
        super().__init__(f"ClickPesa gives us no token: HTTP {answer.status}. {_message(answer)}")
        self.answer = answer


class _Token:
    """One token for all threads; while one of them fetches it the others wait for that one."""

    def __init__(self, fetch: Callable[[], str]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._value = ""
        self._fresh_until = 0.0

    def get(self, deadline: float, *, refused: str = "") -> str:
        """Return the token; another one, if `refused` is still the one we have.

        Raises:
            NotSent: there is none, or none before the deadline.
        """
        left = deadline - time.monotonic()
        if left <= 0 or not self._lock.acquire(timeout=left):
            raise NotSent("The call was not made: what came before it took too long.")
        try:
            # The wall clock: where it is wrong, a 401 brings a new token as well.
            now = time.time()
            if now >= self._fresh_until or self._value == refused:
                self._fresh_until = 0.0
                self._value = self._fetch()
                self._fresh_until = now + TOKEN_LIFE_SECONDS
            return self._value
        finally:
            self._lock.release()


# The checksum.


def compute_checksum(body: Mapping[str, Any], *, key: str, method: str = "canonical") -> str:
    """Return the HMAC-SHA256 of the body in lower-case hex. Raises as `signed_text()`."""
    text = signed_text(body, method=method)
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed_text(body: Mapping[str, Any], *, method: str = "canonical") -> str:
    """Return the text that is hashed: the body without its own checksum members.

    Raises:
        ValueError: no two sides would write it alike (a float, NaN, a whole number from 2^53
            on, a key that is a number, half a UTF-16 pair) or it is no JSON at all.
    """
    content = {name: body[name] for name in body if name not in {"checksum", "checksumMethod"}}
    return _canonical(content) if method == "canonical" else _legacy_text(content)


def _canonical(value: object) -> str:
    """Write it as JavaScript's JSON.stringify does, the keys of every object sorted."""
    if value is None or isinstance(value, bool | str):
        text = json.dumps(value, ensure_ascii=False)
        text.encode()  # ValueError for half a UTF-16 pair
        return text
    if isinstance(value, int | Decimal):
        return _javascript_number(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_canonical, value))}]"
    if isinstance(value, Mapping):
        members = (f"{_canonical(key)}:{_canonical(value[key])}" for key in _sorted_keys(value))
        return f"{{{','.join(members)}}}"
    raise ValueError(f"ClickPesa: a {type(value).__name__} has no certain form in JSON.")


def _sorted_keys(value: Mapping[Any, Any]) -> list[str]:
    for key in value:
        # JavaScript moves keys such as "7" to the front.
        if not isinstance(key, str) or key.isnumeric():
            raise ValueError(f"ClickPesa: {key!r} cannot be a key, only a word can.")
    # By code unit, as JavaScript compares: not the order of Python beyond U+FFFF.
    return sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))


def _javascript_number(value: int | Decimal) -> str:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    # NaN fails the first comparison too. Outside, JavaScript rounds or writes exponents.
    if not abs(number) < 2**53 or 0 < abs(number) < 1e-6:  # noqa: PLR2004 - as said above
        raise ValueError("ClickPesa: the number is too large or too small to be written one way.")
    return str(int(number)) if number.is_integer() else format(Decimal(repr(number)), "f")


def _legacy_text(content: Mapping[str, Any]) -> str:
    """Join the values as JavaScript turns them into text: of an object nothing remains."""
    return "".join(_javascript_text(content[key]) for key in _sorted_keys(content))


def _javascript_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ",".join(map(_javascript_text, value))
    return "[object Object]" if isinstance(value, Mapping) else _canonical(value)


# What we send.


def _refuse_locally(request: AttemptRequest, capabilities: Capabilities) -> StartOutcome | None:
    """Return why it is not even sent."""
    wrong = capabilities.refusal(method=request.method, money=request.money)
    sentence = ""
    if wrong is not None:
        sentence = f"ClickPesa {wrong[1]}"
    elif not _is_reference(request.reference):
        sentence = "ClickPesa takes references of up to 20 letters and digits."
    elif request.method is PaymentMethod.MOBILE_PUSH and not _is_phone(request.phone_e164):
        sentence = "ClickPesa sends pushes to numbers of Tanzania only: +255 and 9 digits."
    elif request.method is PaymentMethod.CARD and not (request.payer.name and request.payer.email):
        sentence = "ClickPesa takes a card with the payer's name and email address only."
    return _refused(FailureCode.INVALID_REQUEST, sentence) if sentence else None


def _refuse_payout_locally(
    request: PayoutRequest, capabilities: Capabilities
) -> StartOutcome | None:
    to = request.destination
    wrong = capabilities.payout_refusal(method=to.method, money=request.money)
    sentence = ""
    if wrong is not None:
        sentence = f"ClickPesa {wrong[1]}"
    elif not _is_reference(request.reference):
        sentence = "ClickPesa takes references of up to 20 letters and digits."
    elif to.method is PayoutMethod.MOBILE_WALLET:
        if not _is_phone(to.phone_e164):
            sentence = "ClickPesa pays out to numbers of Tanzania only: +255 and 9 digits."
    elif not (to.account_number and to.bank_code and to.name):
        sentence = "ClickPesa pays out to a bank with its BIC, an account number and a name only."
    return _refused(FailureCode.INVALID_REQUEST, sentence) if sentence else None


def _is_reference(text: str) -> bool:
    return text.isascii() and text.isalnum() and len(text) <= LONGEST_REFERENCE


def _is_phone(text: str) -> bool:
    return re.fullmatch(r"\+255[0-9]{9}", text) is not None


def _spell_push(request: AttemptRequest) -> dict[str, Any]:
    return {
        "amount": _price(request.money),
        "currency": request.money.currency,
        "orderReference": request.reference,
        "phoneNumber": request.phone_e164.removeprefix("+"),
    }


def _spell_card(request: AttemptRequest) -> dict[str, Any]:
    customer = {"fullName": request.payer.name, "email": request.payer.email}
    if request.phone_e164:
        customer["phoneNumber"] = request.phone_e164.removeprefix("+")
    return {
        "amount": _price(request.money),
        "currency": request.money.currency,
        "orderReference": request.reference,
        "customer": customer,
    }


def _spell_checkout(request: AttemptRequest, *, callback_url: str) -> dict[str, Any]:
    body = {
        "totalPrice": _price(request.money),
        "orderCurrency": request.money.currency,
        "orderReference": request.reference,
        "customerName": request.payer.name,
        "customerEmail": request.payer.email,
        "customerPhone": request.phone_e164.removeprefix("+"),
        "description": request.description[:LONGEST_DESCRIPTION],
        "callbackUrl": callback_url,
    }
    return {name: value for name, value in body.items() if value}


def _spell_bill(request: AttemptRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "billAmount": _whole(request.money),
        "billPaymentMode": "EXACT",
        "billReference": _control_number(request.reference),
    }
    if request.description:
        body["billDescription"] = request.description[:LONGEST_DESCRIPTION]
    return body


def _control_number(reference: str) -> str:
    """Return the digits that we ask for, so that a lost answer can be asked about.

    Two references with one number would be refused as used; what it was paid for carries
    the company's own id, which belongs to one attempt only.
    """
    digest = int.from_bytes(hashlib.sha256(reference.encode()).digest())
    lowest: int = 10 ** (CONTROL_NUMBER_DIGITS - 1)
    return str(lowest + digest % (9 * lowest))


def _whole(money: Money) -> int:
    return int(Decimal(money.to_major()))


def _price(money: Money) -> str:
    return str(_whole(money)) if money.currency == "TZS" else money.to_major()


# What an answer to a start means.


def _read_start(request: AttemptRequest, body: Mapping[str, Any]) -> StartOutcome:
    if request.method is PaymentMethod.MOBILE_PUSH:
        _require_reference(body, request.reference)
        return _outcome(_observe(body, reference=request.reference, subject=Subject.PAYMENT))
    if request.method is PaymentMethod.CONTROL_NUMBER:
        number = _identifier(body, "billPayNumber")
        if not _is_reference(number):
            raise AnswerUnreadable("ClickPesa: there is no control number in the answer.")
        return StartOutcome(result=StartResult.ACCEPTED, payer_code=number)
    name = "cardPaymentLink" if request.method is PaymentMethod.CARD else "checkoutLink"
    url = _word(body, name)
    if not re.fullmatch(r"https?://[\x21-\x7e]{1,1900}", url):
        raise AnswerUnreadable(f"ClickPesa: there is no {name} in the answer.")
    return StartOutcome(result=StartResult.ACCEPTED, checkout_url=url)


def _outcome(seen: Observation) -> StartOutcome:
    """Read a row that came at once. One that says "reversed" waits for the query to say so."""
    result = StartResult.ACCEPTED
    if seen.claim is Claim.SUCCESS and seen.money is not None:
        result = StartResult.DONE
    elif seen.claim is Claim.FAILURE:
        result = StartResult.REFUSED
    return StartOutcome(
        result=result,
        provider_ref=seen.provider_ref,
        money=seen.money,
        fee=seen.fee,
        failure_code=seen.failure_code,
        failure_message=seen.failure_message,
    )


def _refusal_or_none(
    answer: HttpAnswer, *, cooldown_seconds: float | None = None
) -> StartOutcome | None:
    if not _is_refusal(answer):
        _require_ok(answer)
        return None
    _tell_people(answer)
    return _refusal(answer, cooldown_seconds=cooldown_seconds)


def _refusal(answer: HttpAnswer, *, cooldown_seconds: float | None = None) -> StartOutcome:
    """Say what a 4xx means; nothing was done."""
    message = _message(answer)
    text = message.lower()
    if answer.status == HTTPStatus.CONFLICT or "already used" in text:
        return StartOutcome(result=StartResult.DUPLICATE, failure_message=message)
    if _DAILY_CAP in text:
        wait: float | None = DAILY_CAP_WAIT_SECONDS
        return StartOutcome(result=StartResult.TRY_LATER, retry_after_seconds=wait)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = _seconds_to_wait(answer, message)
        return StartOutcome(
            result=StartResult.TRY_LATER,
            retry_after_seconds=cooldown_seconds if wait is None else wait,
        )
    code = FailureCode.PROVIDER_REFUSED
    if any(part in text for part in _LACKS_MONEY):
        code = FailureCode.INSUFFICIENT_FUNDS
    elif answer.status == HTTPStatus.BAD_REQUEST and not _is_our_setup(answer):
        code = FailureCode.INVALID_REQUEST
    return _refused(code, message or f"ClickPesa refused it: HTTP {answer.status}.")


def _refused(code: FailureCode, message: str) -> StartOutcome:
    return StartOutcome(result=StartResult.REFUSED, failure_code=code, failure_message=message)


def _seconds_to_wait(answer: HttpAnswer, message: str) -> float | None:
    header = answer.headers.get("retry-after", "")
    found = re.search(r"([0-9]{1,4}) ?s(ec|\b)", f"{header}s" if header.isdecimal() else message)
    return float(found[1]) if found else None


def _is_refusal(answer: HttpAnswer) -> bool:
    is_client_error = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return is_client_error and answer.status not in _UNCLEAR_STATUSES


def _is_our_setup(answer: HttpAnswer) -> bool:
    text = _message(answer).lower()
    return answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or any(
        part in text for part in _IS_OUR_SETUP
    )


def _tell_people(answer: HttpAnswer) -> None:
    """Log what no payer and no repetition can mend."""
    message = _message(answer)
    if _is_our_setup(answer) or _DAILY_CAP in message.lower():
        log.error(
            "payment.provider_setup",
            extra={
                "provider": ClickPesaProvider.name,
                "http_status": answer.status,
                "answer": message,
            },
        )


def _require_ok(answer: HttpAnswer) -> HttpAnswer:
    if answer.status in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return answer
    _tell_people(answer)
    raise NoAnswer(f"ClickPesa: HTTP {answer.status}. {_message(answer)}")


# What a row says.


def _observe_rows(
    rows: Sequence[Mapping[str, Any]], handle: CallHandle, subject: Subject, payer_code: str = ""
) -> list[Observation]:
    """Return what counts: money that moved, else what is on its way, else failures.

    A page or control number can be tried again after a failure and paid more than once.
    """
    seen = [
        _observe(row, reference=handle.reference, subject=subject, payer_code=payer_code)
        for row in rows
    ]
    for claims in ((Claim.SUCCESS, Claim.REVERSED), (Claim.ACCEPTED,)):
        counting = [each for claim in claims for each in seen if each.claim is claim]
        if counting:
            return counting
    return seen


def _observe(
    row: Mapping[str, Any],
    *,
    reference: str,
    subject: Subject,
    trust: Trust = Trust.STRONG,
    payer_code: str = "",
) -> Observation:
    status = _word(row, "status")
    claim = (_PAYOUT_CLAIMS if subject is Subject.PAYOUT else _PAYMENT_CLAIMS).get(status)
    if claim is None:
        # ON-HOLD is one: it waits for a person in the dashboard.
        log.warning(
            "payment.status_for_people",
            extra={"provider": ClickPesaProvider.name, "reference": reference, "status": status},
        )
        claim = Claim.ACCEPTED
    money, fee = _payout_money(row) if subject is Subject.PAYOUT else (_collected(row), None)
    if money is not None and money.minor < 0:
        raise AnswerUnreadable("ClickPesa: the amount is negative.")
    message, code = _explanation(row), None
    if claim is Claim.FAILURE:
        lacks_money = any(part in message.lower() for part in _LACKS_MONEY)
        code = FailureCode.INSUFFICIENT_FUNDS if lacks_money else FailureCode.OTHER
    try:
        return Observation(
            reference=reference,
            claim=claim,
            subject=subject,
            money=money,
            fee=fee,
            provider_ref=_identifier(row, "id", "paymentId"),
            payer_code=payer_code,
            trust=trust,
            failure_code=code,
            failure_message=message if claim in {Claim.FAILURE, Claim.REVERSED} else "",
            occurred_at=_moment(_word(row, "updatedAt") or _word(row, "createdAt")),
        )
    except ValueError as error:
        raise AnswerUnreadable(f"ClickPesa: {error}") from error


def _explanation(row: Mapping[str, Any]) -> str:
    for name in ("reverse", "refund"):
        detail = row.get(name)
        if isinstance(detail, dict) and _word(detail, "message"):
            return _word(detail, "message")
    return _word(row, "message") or _word(row, "notes")


def _collected(row: Mapping[str, Any]) -> Money | None:
    # The second names are those of older documentation.
    amount = row.get("collectedAmount", row.get("amount"))
    return _money(amount, _word(row, "collectedCurrency") or _word(row, "currency"))


def _payout_money(row: Mapping[str, Any]) -> tuple[Money | None, Money | None]:
    """Return (what was paid out, fee). `amount` is both together; `order` is without it."""
    currency = _word(row, "currency")
    fee = _money(row.get("fee"), currency)
    order = row.get("order")
    if isinstance(order, dict) and order.get("amount") is not None:
        return _money(order["amount"], _word(order, "currency") or currency), fee
    total = _money(row.get("amount"), currency)
    return (total - fee if total is not None and fee is not None else total), fee


def _money(amount: object, currency: str) -> Money | None:
    """Read an amount that is text here and a number there; None: none is said."""
    if amount is None or amount == "":
        return None
    try:
        # What is of no such type is refused in there.
        return Money.from_major(amount, currency)  # type: ignore[arg-type]  # as said above
    except InvalidMoney as error:
        raise AnswerUnreadable(f"ClickPesa: {error}") from error


def _statement_entries(lines: Sequence[Mapping[str, Any]]) -> list[StatementEntry]:
    """Return the lines on which money moved, each with the fees that were booked for it.

    A fee that belongs to no one line stands alone, without a reference: it is not that
    payment or payout once more.
    """
    read = [(_statement_entry(line), _is_fee(line)) for line in lines]
    moves = [entry for entry, is_fee in read if not is_fee and entry.money.minor]
    fees = [entry for entry, is_fee in read if is_fee and entry.money.minor]
    about = Counter((entry.reference, entry.money.currency) for entry in moves)
    told: dict[tuple[str, str], Money] = {}
    alone = []
    for fee in fees:
        key = (fee.reference, fee.money.currency)
        if fee.reference and about[key] == 1:
            told[key] = told[key] + fee.money if key in told else fee.money
        else:
            alone.append(replace(fee, reference=""))
    told_of = [told.get((entry.reference, entry.money.currency)) for entry in moves]
    return [replace(entry, fee=fee) for entry, fee in zip(moves, told_of, strict=True)] + alone


def _is_fee(line: Mapping[str, Any]) -> bool:
    # Assumed, not documented: the type of such a line says so.
    is_debit = _word(line, "entry").lower() == "debit"
    return is_debit and re.search("fee|charge", _word(line, "type").lower()) is not None


def _statement_entry(line: Mapping[str, Any]) -> StatementEntry:
    key, entry = _identifier(line, "id"), _word(line, "entry").lower()
    money = _money(line.get("amount"), _word(line, "currency"))
    booked_at = _moment(_word(line, "date"), otherwise=_EAT)
    if not key or entry not in {"credit", "debit"} or money is None or booked_at is None:
        raise AnswerUnreadable("ClickPesa: a statement line lacks id, entry, amount or date.")
    return StatementEntry(
        line_key=key,
        subject=Subject.PAYMENT if entry == "credit" else Subject.PAYOUT,
        reference=_word(line, "orderReference"),
        money=-money if money.minor < 0 else money,
        booked_at=booked_at,
        description=_word(line, "description"),
    )


def _moment(text: str, *, otherwise: timezone = UTC) -> datetime | None:
    """Read the company's clock, with `otherwise` as its zone where it names none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=otherwise)


# JSON.


def _require_reference(row: Mapping[str, Any], reference: str) -> None:
    if _identifier(row, "orderReference") != reference:
        raise AnswerUnreadable("ClickPesa: it answered about another reference.")


def _message(answer: HttpAnswer) -> str:
    """Return the company's sentence; validation errors are a list of them."""
    try:
        body = _load(answer.body)
    except AnswerUnreadable:
        return ""
    told = body.get("message") if isinstance(body, dict) else None
    sentences = told if isinstance(told, list) else [told]
    text = "; ".join(each for each in sentences if isinstance(each, str))
    return text[:LONGEST_FAILURE_MESSAGE]


def _object(answer: HttpAnswer) -> dict[str, Any]:
    return _require_object(_load(answer.body))


def _rows_of(answer: HttpAnswer) -> list[dict[str, Any]]:
    rows = _load(answer.body)
    if not isinstance(rows, list):
        raise AnswerUnreadable("ClickPesa: expected a JSON list.")
    return [_require_object(row) for row in rows]


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    value = body.get(name)
    if not isinstance(value, list):
        raise AnswerUnreadable(f"ClickPesa: {name} is not a list.")
    return value


def _require_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise AnswerUnreadable("ClickPesa: expected a JSON object.")
    return value


def _word(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _identifier(row: Mapping[str, Any], *names: str) -> str:
    """Return the first of these that is there; a number, too, may be one."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return ""


def _event_type(event: Mapping[str, Any]) -> str:
    kind = _word(event, "event") or _word(event, "eventType")
    if not kind:
        raise PayloadUnreadable("ClickPesa: the event has no type.")
    return kind


def _event_data(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event.get("data")
    if not isinstance(data, dict):
        raise PayloadUnreadable("ClickPesa: the event has no data.")
    return data


def _load_event(body: bytes) -> dict[str, Any]:
    try:
        return _require_object(_load(body))
    except AnswerUnreadable as error:
        raise PayloadUnreadable(str(error)) from error


def _load(body: bytes) -> Any:
    """Read JSON. Raises AnswerUnreadable."""
    try:
        return load_json(body)
    except ValueError as error:
        raise AnswerUnreadable(f"ClickPesa: {len(body)} bytes are no JSON.") from error
