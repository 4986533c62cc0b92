"""The dial for faults: what a company's bad day looks like, on request."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

__all__ = ["FaultDial", "Faults", "InvalidFault"]

_CHOICES = {
    "start": (
        "none",
        "error_before",
        "error_after",
        "hang_before",
        "hang_after",
        "cut_before",
        "cut_after",
        "html",
        "busy",
    ),
    "query": ("none", "error", "hang", "not_found", "lie_declined"),
    "callback": ("none", "drop", "duplicate"),
}


class InvalidFault(ValueError):
    """The dial has no such position."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """One position of the dial.

    Attributes:
        start: what goes wrong with POST /v1/collections; `_before` means that no prompt
            reaches the phone, `_after` that it does.
        query: what goes wrong with GET /v1/collections/{reference}.
        callback: what goes wrong with the next callbacks.
        delay_seconds: every answer to the merchant waits so long.
        callback_delay_seconds: every callback waits so long.
        hang_seconds: a hanging call is held so long, then cut.
        times: how many starts, and how many queries, go wrong; null: all of them.
    """

    start: str = "none"
    query: str = "none"
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
    """The dial and how often it still bites. Thread-safe."""

    def __init__(self, faults: Faults) -> None:
        self._lock = threading.Lock()
        self.turn(faults)

    def turn(self, faults: Faults) -> None:
        """Put the dial to this position."""
        with self._lock:
            self.faults = faults
            self._left = {"start": faults.times, "query": faults.times}

    def bite(self, kind: str) -> str:
        """Return the fault of this start or query, counting it."""
        with self._lock:
            fault = str(getattr(self.faults, kind))
            left = self._left[kind]
            if fault == "none" or left == 0:
                return "none"
            if left is not None:
                self._left[kind] = left - 1
            return fault

    def wire(self) -> dict[str, object]:
        """Return the present position."""
        return asdict(self.faults)
