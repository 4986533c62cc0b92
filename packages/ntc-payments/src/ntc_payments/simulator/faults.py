"""The dial for faults: what a company's bad day looks like, on request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

__all__ = ["ACTIONS", "FaultDial", "Faults", "InvalidFault"]

#: What the merchant asks for; each has its own position of the dial.
ACTIONS = ("start", "push", "query", "payout", "refund", "cancel", "token")

#: `_before`: the company did nothing; `_after`: it did, and the merchant is not told.
_BROKEN = (
    "none",
    "error_before",
    "error_after",
    "unavailable",
    "busy",
    "busy_bare",
    "hang_before",
    "hang_after",
    "cut_before",
    "cut_after",
    "reset_before",
    "reset_after",
    "html",
    "truncated",
    "drip_headers",
    "drip_body",
    "expired_token",
)
_CHOICES = {
    **dict.fromkeys(ACTIONS, _BROKEN),
    "query": (*_BROKEN, "error", "hang", "not_found", "lie_declined"),
    "token": (*_BROKEN, "short_lived"),
    "callback": ("none", "drop", "duplicate", "reorder"),
}


class InvalidFault(ValueError):
    """The dial has no such position."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """One position of one company's dial.

    Attributes:
        start, query, payout, refund, cancel, token: what goes wrong with such calls.
            A short_lived token dies after a second, though the company says an hour.
        push: the call that puts a started order on the phone, where that is one of its own.
        callback: what goes wrong with the next callbacks. reorder: each one waits for
            another, which is sent first.
        delay_seconds: every answer to the merchant waits so long.
        callback_delay_seconds: every callback waits so long.
        hang_seconds: a hanging call is held so long, then cut; a dripping one sends a byte
            at a time for so long.
        times: how many calls of each kind go wrong; null: all of them.
    """

    start: str = "none"
    push: str = "none"
    query: str = "none"
    payout: str = "none"
    refund: str = "none"
    cancel: str = "none"
    token: str = "none"  # noqa: S105 - a position of the dial
    callback: str = "none"
    delay_seconds: float = 0.0
    callback_delay_seconds: float = 0.0
    hang_seconds: float = 60.0
    times: int | None = None

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Faults:
        """Read the JSON of PUT /faults; what is left out is off.

        Raises:
            InvalidFault: an unknown name or position.
        """
        known = {field.name for field in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise InvalidFault(f"Unknown fault {name!r}. Known: {', '.join(sorted(known))}.")
            choices = _CHOICES.get(name)
            if choices and value not in choices:
                raise InvalidFault(f"{name} is one of {', '.join(choices)}.")
            if not choices and not (value is None and name == "times"):
                _require_number(name, value)
        return cls(**values)  # type: ignore[arg-type]  # every value was looked at above


def _require_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise InvalidFault(f"{name} is a number, 0 or more.")


class FaultDial:
    """One company's dial and how often it still bites. Thread-safe."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._lock = threading.Lock()
        self.turn(faults or Faults())

    def turn(self, faults: Faults) -> None:
        """Put the dial to this position."""
        with self._lock:
            self.faults = faults
            self._left = dict.fromkeys(ACTIONS, faults.times)

    def bite(self, action: str) -> str:
        """Return the fault of this call, counting it; "none" for what has no dial."""
        with self._lock:
            fault = str(getattr(self.faults, action)) if action in ACTIONS else "none"
            left = self._left.get(action)
            if fault == "none" or left == 0:
                return "none"
            if left is not None:
                self._left[action] = left - 1
            return fault

    def wire(self) -> dict[str, object]:
        """Return the present position."""
        return asdict(self.faults)
