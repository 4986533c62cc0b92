"""What every company of the simulator is made of. Knows nothing of the providers."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ntc_payments.simulator.exchange import Answer, Route
from ntc_payments.simulator.faults import FaultDial
from ntc_payments.simulator.store import Callback, Draft, Movement, Store

__all__ = ["STARTING_FLOAT_MINOR", "Company"]

#: What each company holds for the merchant at the beginning, per currency.
STARTING_FLOAT_MINOR = 100_000_000


class Company(ABC):
    """One company: what it takes, how it checks that, and how it tells what happened.

    Attributes:
        name: as the provider's. prefix: of its paths, such as "/selcom"; "" for the first one.
        keys: names of the environment variables with what the merchant was given -> the
            option of the provider that gets it.
    """

    name: ClassVar[str]
    prefix: ClassVar[str]
    keys: ClassVar[Mapping[str, str]]
    #: Option -> its value where none is set and an invented one would have the wrong form.
    samples: ClassVar[Mapping[str, str]] = {}
    #: Options of the provider that hold an address below the prefix.
    url_options: ClassVar[tuple[str, ...]] = ("base_url",)
    #: Whether a call tells it where its callbacks go; else that is set here, as in a dashboard.
    is_told_callback_url: ClassVar[bool] = False

    def __init__(self, *, store: Store, secrets: Mapping[str, str]) -> None:
        """Args:
        secrets: option -> value, for the options of `keys`.
        """
        self.store = store
        self.secrets = secrets
        self.dial = FaultDial()
        #: Where the simulator is reached: pages that a payer opens are below it.
        self.site = ""

    @classmethod
    def invent(cls, option: str) -> str:
        """Return a value for an option of `keys` that nobody has set."""
        return cls.samples.get(option) or secrets.token_hex(24)

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """Return the paths below the prefix."""

    def tell(self, movement: Movement) -> Sequence[Draft]:
        """Return the messages about a movement that has just changed; none: it tells nobody."""
        del movement
        return ()

    def callback_headers(self, callback: Callback) -> dict[str, str]:
        """Return the headers of one try: signatures with a time are made anew each time."""
        del callback
        return {}

    def internal_error(self) -> Any:
        """Return the body of a 500 in this company's shape."""
        return {"message": "Something broke."}

    def lie(self, answer: Answer) -> Answer:
        """Return the answer to a query turned into "failed"; for the fault `lie_declined`."""
        return answer

    def not_found(self) -> Answer:
        """Return how it says that it knows no such reference; for the fault `not_found`."""
        return Answer(status=404, body={"message": "Not found."})

    # What the phone does.

    def pay(self, movement: Movement) -> Movement | None:
        """The payer approves; None where it was not waiting."""
        return self._end(movement, "PAID")

    def decline(self, movement: Movement) -> Movement | None:
        """The payer says no."""
        return self._end(movement, "DECLINED")

    def expire(self, movement: Movement) -> Movement | None:
        """Nobody answered in time."""
        return self._end(movement, "EXPIRED")

    def pay_bill(self, number: str, amount_minor: int) -> Movement | None:
        """A payer pays on a control number, without a prompt; None: it is nobody's."""
        del number, amount_minor
        return None

    def renew(self, movement: Movement) -> Movement | None:
        """Charge a subscription's next period; None: it was not paid, or has no periods."""
        del movement
        return None

    def dispute(self, movement: Movement, status: str) -> bool:
        """Let the payer complain to the bank, or the bank decide; False: that is not played."""
        del movement, status
        return False

    def _end(self, movement: Movement, status: str, **changes: Any) -> Movement | None:
        return self.store.change(movement.uid, status=status, is_shown=0, tell=self.tell, **changes)

    # The books.

    def balance_minor(self, currency: str) -> int:
        """Return what it holds for the merchant."""
        books = self.books().get(currency, {})
        money_in = books.get("captured", 0)
        money_out = sum(books.get(name, 0) for name in ("refunded", "paid_out", "fees"))
        return STARTING_FLOAT_MINOR + money_in - money_out

    def books(self) -> dict[str, dict[str, int]]:
        """Return currency -> captured, refunded, paid_out, fees; what came back not counted."""
        sums: dict[str, dict[str, int]] = {}
        columns = {"collection": "captured", "refund": "refunded", "payout": "paid_out"}
        for movement in self.store.list_movements(
            company=self.name, status="PAID", limit=1_000_000
        ):
            row = sums.setdefault(movement.currency, dict.fromkeys((*columns.values(), "fees"), 0))
            row[columns[movement.kind]] += movement.amount_minor
            row["fees"] += movement.fee_minor
        return sums

    def prompts(self) -> dict[str, int]:
        """Return reference -> how often the payer was asked."""
        movements = self.store.list_movements(company=self.name, kind="collection", limit=1_000_000)
        return {movement.reference: movement.prompts for movement in movements}
