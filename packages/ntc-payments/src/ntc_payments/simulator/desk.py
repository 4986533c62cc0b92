"""What no merchant sees: the phone, the pages of a checkout, the dial, the books."""

from __future__ import annotations

import html
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ntc_payments.simulator.companies.base import Company
from ntc_payments.simulator.exchange import Answer, Refused, Request, Route, read_object
from ntc_payments.simulator.faults import Faults, InvalidFault
from ntc_payments.simulator.store import Movement
from ntc_payments.simulator.world import World

__all__ = ["Desk"]

_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p>{buttons}</body></html>"""
_BUTTONS = (
    '<form method="post" action="{uid}/approve"><button>Pay</button></form>'
    '<form method="post" action="{uid}/decline"><button>Decline</button></form>'
)


class Desk:
    """The side of the payer and of the tester."""

    def __init__(self, world: World) -> None:
        self._world = world
        prompt = r"/phone/prompts/(?P<uid>[^/]+)/(?P<answer>approve|decline)"
        page = r"/checkout/(?P<uid>[^/]+)"
        self._routes = (
            Route("GET", r"/phone/prompts", "other", self.list_prompts),
            Route("POST", prompt, "other", self.answer_prompt),
            Route("POST", r"/phone/pay", "other", self.pay_bill),
            Route("POST", r"/phone/renew", "other", self.renew),
            Route("POST", r"/phone/dispute", "other", self.dispute),
            Route("GET", page, "other", self.show_page),
            Route("POST", f"{page}/(?P<answer>approve|decline)", "other", self.answer_page),
            Route("GET", r"/faults", "other", self.read_faults),
            Route("PUT", r"/faults", "other", self.turn_faults),
            Route("PUT", r"/callbacks", "other", self.set_callbacks),
            Route("GET", r"/books", "other", self.read_books),
            Route("GET", r"/health", "other", self.health),
        )

    def serve(self, request: Request) -> Answer:
        """Answer, or say that there is nothing."""
        for route in self._routes:
            groups = route.match(request.method, request.path)
            if groups is not None:
                return route.handler(request, **groups)
        raise _refusal(HTTPStatus.NOT_FOUND, "no_such_path", "There is nothing here.")

    # The payer.

    def list_prompts(self, request: Request) -> Answer:
        """Every prompt on every phone; with `?all` those that have ended too."""
        self._world.expire_overdue()
        prompts = self._world.prompts(waiting_only="all" not in request.query)
        return Answer(body=[_prompt(movement) for movement in prompts])

    def answer_prompt(self, request: Request, *, uid: str, answer: str) -> Answer:
        """Enter the PIN, or say no."""
        del request
        return Answer(body=_prompt(self._end(uid, answer)))

    def pay_bill(self, request: Request) -> Answer:
        """Pay on a control number: `{"company", "number", "amount"}`, in major units."""
        values = _object(request)
        company = self._company(values)
        amount = values.get("amount")
        if isinstance(amount, bool) or not isinstance(amount, int) or amount <= 0:
            raise _refusal(HTTPStatus.BAD_REQUEST, "invalid_amount", "amount is a whole number.")
        paid = company.pay_bill(str(values.get("number", "")), amount * 100)
        if paid is None:
            raise _refusal(HTTPStatus.NOT_FOUND, "not_found", "Nobody can be paid on that number.")
        return Answer(body=_prompt(paid))

    def renew(self, request: Request) -> Answer:
        """Charge the next period of what was bought: `{"company", "reference"}`."""
        values = _object(request)
        renewed = self._company(values).renew(self._bought(values))
        if renewed is None:
            raise _refusal(HTTPStatus.CONFLICT, "not_renewable", "It has no next period.")
        return Answer(body=_prompt(renewed))

    def dispute(self, request: Request) -> Answer:
        """Complain to the bank: `{"company", "reference", "status"}`, in the company's words."""
        values = _object(request)
        status = str(values.get("status", ""))
        if not self._company(values).dispute(self._bought(values), status):
            raise _refusal(HTTPStatus.CONFLICT, "not_disputable", "It cannot be disputed so.")
        return Answer(body={})

    def _bought(self, values: Mapping[str, Any]) -> Movement:
        found = self._world.store.find(
            company=self._company(values).name,
            kind="collection",
            reference=str(values.get("reference", "")),
        )
        if found is None:
            raise _refusal(HTTPStatus.NOT_FOUND, "not_found", "There is no such payment.")
        return found

    def show_page(self, request: Request, *, uid: str) -> Answer:
        """The hosted page of a checkout."""
        del request
        movement = self._get(uid)
        text = f"{_major(movement)} {movement.currency} · {movement.description}"
        is_open = movement.is_waiting and movement.is_shown
        return Answer(
            body=_PAGE.format(
                title=html.escape(self._world[movement.company].name.title()),
                text=html.escape(text if is_open else f"{text} · {movement.status}"),
                buttons=_BUTTONS.format(uid=movement.uid) if is_open else "",
            )
        )

    def answer_page(self, request: Request, *, uid: str, answer: str) -> Answer:
        """A button of that page; the payer goes back where the merchant said."""
        del request
        movement = self._end(uid, answer)
        back = movement.details.get("return_url" if answer == "approve" else "cancel_url")
        if not back:
            return Answer(body=_PAGE.format(title="Thank you", text=movement.status, buttons=""))
        return Answer(status=HTTPStatus.SEE_OTHER, body="", headers={"Location": str(back)})

    def _end(self, uid: str, answer: str) -> Movement:
        movement = self._get(uid)
        company = self._world[movement.company]
        ended = company.pay(movement) if answer == "approve" else company.decline(movement)
        if ended is None:
            raise _refusal(HTTPStatus.CONFLICT, "not_waiting", "This prompt has ended.")
        return ended

    def _get(self, uid: str) -> Movement:
        self._world.expire_overdue()
        movement = self._world.store.find(uid=uid, kind="collection")
        if movement is None:
            raise _refusal(HTTPStatus.NOT_FOUND, "not_found", "There is no such prompt.")
        return movement

    # The tester.

    def read_faults(self, request: Request) -> Answer:
        """The position of a dial: `?company=`, else of the first company."""
        return Answer(body=self._company(request.query).dial.wire())

    def turn_faults(self, request: Request) -> Answer:
        """Turn a dial; the key `company` says whose, else the first one's."""
        values = _object(request)
        company = self._company(values)
        values.pop("company", None)
        try:
            company.dial.turn(Faults.parse(values))
        except InvalidFault as error:
            raise _refusal(HTTPStatus.BAD_REQUEST, "invalid_fault", str(error)) from error
        return Answer(body=company.dial.wire())

    def set_callbacks(self, request: Request) -> Answer:
        """Say where companies send what no call told them: `{"polar": URL, …}`."""
        for name, url in _object(request).items():
            company = self._company({"company": name})
            if not isinstance(url, str) or not url.startswith(("http://", "https://")):
                raise _refusal(HTTPStatus.BAD_REQUEST, "invalid_url", "A URL is http or https.")
            self._world.store.keep(company.name, "callback_url", url)
        return Answer(body={})

    def read_books(self, request: Request) -> Answer:
        """What each company did, for a test to compare: money, and prompts per reference."""
        del request
        return Answer(
            body={
                company.name: {"money": company.books(), "prompts": company.prompts()}
                for company in self._world.companies
            }
        )

    def health(self, request: Request) -> Answer:
        """Say that it listens."""
        del request
        return Answer(body={"status": "ok"})

    def _company(self, values: Mapping[str, Any]) -> Company:
        name = values.get("company", self._world.companies[0].name)
        try:
            return self._world[str(name)]
        except KeyError:
            known = ", ".join(company.name for company in self._world.companies)
            raise _refusal(
                HTTPStatus.BAD_REQUEST, "invalid_company", f"company is one of {known}."
            ) from None


def _object(request: Request) -> dict[str, Any]:
    return read_object(
        request,
        refuse=lambda sentence: _refusal(HTTPStatus.BAD_REQUEST, "invalid_body", sentence),
    )


def _prompt(movement: Movement) -> dict[str, object]:
    return {
        "company": movement.company,
        "uid": movement.uid,
        "reference": movement.reference,
        "transaction_id": movement.company_ref,
        "amount": _major(movement),
        "currency": movement.currency,
        "phone": movement.phone,
        "status": movement.status,
        "description": movement.description,
        "created_at": movement.created_at,
        "expires_at": movement.expires_at,
    }


def _major(movement: Movement) -> int | str:
    """Whole amounts as a number, others as a text such as "25.50"."""
    whole, cents = divmod(movement.amount_minor, 100)
    return f"{whole}.{cents:02d}" if cents else whole


def _refusal(status: int, code: str, message: str) -> Refused:
    return Refused(status, {"code": code, "message": message})
