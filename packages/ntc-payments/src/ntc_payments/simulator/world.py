"""All companies over one store: who is reached where, and with which secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ntc_payments.simulator.companies import COMPANIES, Company
from ntc_payments.simulator.exchange import Route
from ntc_payments.simulator.faults import FaultDial
from ntc_payments.simulator.store import Movement, Store

__all__ = ["World"]


class World:
    """The companies of one simulator."""

    def __init__(
        self,
        store: Store,
        *,
        environment: Mapping[str, str],
        companies: Iterable[type[Company]] = COMPANIES,
    ) -> None:
        """Args:
        environment: variables of the design, `SELCOM_API_KEY`; what is missing is invented.
        """
        self.store = store
        self.companies = [
            company(
                store=store,
                secrets={
                    company.keys[variable]: environment.get(variable) or invented
                    for variable, invented in company.invent().items()
                },
            )
            for company in companies
        ]

    def __getitem__(self, name: str) -> Company:
        for company in self.companies:
            if company.name == name:
                return company
        raise KeyError(name)

    def find_route(
        self, method: str, path: str
    ) -> tuple[Company, Route, Mapping[str, str], str] | None:
        """Return the company, its route, the named parts, and the path below its prefix."""
        for company in sorted(self.companies, key=lambda each: -len(each.prefix)):
            if not path.startswith(f"{company.prefix}/"):
                continue
            below = path.removeprefix(company.prefix)
            for route in company.routes():
                groups = route.match(method, below)
                if groups is not None:
                    return company, route, groups, below
        return None

    def company_at(self, path: str) -> Company | None:
        """Return the company whose prefix the path has; None: it is nobody's."""
        for company in self.companies:
            if company.prefix and path.startswith(f"{company.prefix}/"):
                return company
        return self.companies[0] if path.startswith("/v1/") else None

    def dial_of(self, name: str) -> FaultDial:
        """Return the dial of a company."""
        return self[name].dial

    def prompts(self, *, waiting_only: bool) -> Iterator[Movement]:
        """Yield what is, or was, on a phone or a page, newest first."""
        which: dict[str, Any] = {"status": "PENDING", "is_shown": 1} if waiting_only else {}
        yield from self.store.list_movements(kind="collection", **which)

    def expire_overdue(self) -> None:
        """End the prompts that nobody answered in time."""
        for movement in self.store.list_overdue():
            self[movement.company].expire(movement)

    def settings(self) -> dict[str, str]:
        """Return the variables with which a project reaches these companies."""
        return {
            variable: company.secrets[option]
            for company in self.companies
            for variable, option in company.keys.items()
        }
