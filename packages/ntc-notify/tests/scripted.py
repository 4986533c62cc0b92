"""Made-up SMS companies that answer as a test tells them to, built through the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ntc_notify.providers.base import SmsProvider
from ntc_notify.types import OutgoingSms, SendOutcome

Answer = SendOutcome | Exception | Callable[[OutgoingSms], SendOutcome]


@dataclass
class Company:
    """What one company got and what it says next; when nothing is left to say, it accepts."""

    received: list[OutgoingSms] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


_companies: dict[str, Company] = {}


class ScriptedSmsProvider(SmsProvider):
    def __init__(self, *, company: str, timeout_seconds: float = 5.0) -> None:
        self.company = _companies.setdefault(company, Company())
        self.timeout_seconds = timeout_seconds

    def send(self, message: OutgoingSms, /) -> SendOutcome:
        self.company.received.append(message)
        if not self.company.answers:
            return SendOutcome.accepted(provider_ref=f"ref-{len(self.company.received)}")
        answer = self.company.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, SendOutcome) else answer(message)


def configure(settings: Any, setting: str, names: list[str]) -> dict[str, Company]:
    """Make these the companies of that setting, in this order."""
    path = f"{__name__}.ScriptedSmsProvider"
    setattr(settings, setting, {name: {"class": path, "company": name} for name in names})
    return {name: _companies.setdefault(name, Company()) for name in names}


def forget() -> None:
    _companies.clear()
