"""The dial for faults: what Beem's bad day looks like, on request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

__all__ = ["ACTIONS", "FaultDial", "Faults", "InvalidFault"]

#: What is asked of Beem; each has its own position of the dial.
ACTIONS = ("send", "report", "account", "otp_request", "otp_verify")

#: `_before`: Beem did nothing; `_after`: it did, and does not say so.
_BROKEN = (
    "none",
    "error_before",
    "error_after",
    "timeout_code",
    "unavailable",
    "busy",
    "hang_before",
    "hang_after",
    "cut_before",
    "cut_after",
    "html",
    "truncated",
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(ACTIONS, _BROKEN),
    "callback": ("none", "drop", "duplicate", "reorder"),
    "spelling": ("Status", "status"),
    "report_shape": ("list", "object", "wrapped"),
    "error_shape": ("flat", "nested"),
    "bad_number": ("count", "refuse_batch"),
}


class InvalidFault(ValueError):
    """The dial has no such position."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """One position of the dial, for faults and for what the sources disagree about.

    Attributes:
        send, report, account, otp_request, otp_verify: what goes wrong with such calls.
        callback: what goes wrong with the next delivery callbacks. reorder: each one waits
            for another, which is sent first.
        spelling: of the status in a callback.
        report_shape: of the answer to a delivery-report poll.
        error_shape: whether code and message of a refusal lie under `data`.
        bad_number: whether one bad number is only counted, or refuses the whole batch.
        delay_seconds: every answer waits so long, after the work is done.
        callback_delay_seconds: every callback waits so long.
        hang_seconds: a hanging call is held so long, then cut.
        times: how many calls of each kind go wrong; null: all of them.
    """

    send: str = "none"
    report: str = "none"
    account: str = "none"
    otp_request: str = "none"
    otp_verify: str = "none"
    callback: str = "none"
    spelling: str = "Status"
    report_shape: str = "list"
    error_shape: str = "flat"
    bad_number: str = "count"
    delay_seconds: float = 0.0
    callback_delay_seconds: float = 0.0
    hang_seconds: float = 60.0
    times: int | None = None

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Faults:
        """Read the JSON of PUT /faults; what is left out is as at the beginning.

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
    """The dial and how often it still bites. Thread-safe."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._lock = threading.Lock()
        self.turn(faults or Faults())

    def turn(self, faults: Faults) -> None:
        """Put the dial to this position."""
        with self._lock:
            self.faults = faults
            self._left = dict.fromkeys(ACTIONS, faults.times)

    def bite(self, action: str) -> str:
        """Return the fault of this call, counting it."""
        with self._lock:
            fault = str(getattr(self.faults, action))
            left = self._left[action]
            if fault == "none" or left == 0:
                return "none"
            if left is not None:
                self._left[action] = left - 1
            return fault

    def wire(self) -> dict[str, object]:
        """Return the present position."""
        return asdict(self.faults)
