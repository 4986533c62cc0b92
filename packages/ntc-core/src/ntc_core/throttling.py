"""Limit how often somebody may call, and tell who that is behind proxies.

A view names its limits; the rates are in REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]:

    class LoginView(APIView):
        throttle_classes = [ScopedRateThrottle]
        throttle_scope = "login"            # DEFAULT_THROTTLE_RATES = {"login": "10/min"}

    class ResetView(APIView):               # per address, and per account whatever the address
        throttle_classes = [ScopedRateThrottle]
        throttle_scope = "reset"            # {"reset": "20/min", "reset_account": "5/min"}
        throttle_fields = ["identifier"]    # how the body names the account

A refused call is a 429 in the error envelope with `Retry-After` and the `RateLimit` fields.
`ntc_core.rate_limits` does the counting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.dispatch import Signal
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from ntc_core.client import address_to_count, client_address
from ntc_core.conf import THROTTLE_RATES
from ntc_core.phone import InvalidPhone, parse_phone
from ntc_core.rate_limits import Limit, Verdict, take

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

__all__ = [
    "AddressRateThrottle",
    "ScopedRateThrottle",
    "UserRateThrottle",
    "call_refused",
    "client_address",
    "limit_of",
    "one_spelling",
]

#: `call_refused(sender=Limit, limit=…)`: a limit refused a call, which may be one of very many.
call_refused = Signal()

_RATE = re.compile(r"(?P<count>\d+)/(?P<units>\d*)(?P<unit>[smhd])[a-z]*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def limit_of(scope: str, *, who: str) -> Limit | None:
    """Return the limit that DEFAULT_THROTTLE_RATES sets for the scope; None for no limit.

    The scopes of this package have a rate without it (`ntc_core.conf.THROTTLE_RATES`).

    Raises:
        ImproperlyConfigured: the scope has no rate.
    """
    rates: dict[str, Any] = {**THROTTLE_RATES, **api_settings.DEFAULT_THROTTLE_RATES}
    if scope not in rates:
        raise ImproperlyConfigured(
            f"REST_FRAMEWORK['DEFAULT_THROTTLE_RATES'] has no {scope!r}. "
            "Add it, such as '10/min', or None for no limit."
        )
    return _limit(scope, rate=rates[scope], who=who)


def one_spelling(identifier: str) -> str:
    """Return the same text for every spelling of an email address, a phone or a name."""
    text = identifier.strip()
    if "@" not in text:
        try:
            return parse_phone(text)
        except InvalidPhone:
            pass
    return text.casefold()


def _limit(scope: str, *, rate: str | None, who: str) -> Limit | None:
    """Read `"10/min"`, `"5/h"`, and also `"3/10m"`: three within ten minutes."""
    if rate is None:
        return None
    match = _RATE.fullmatch(rate)
    if match is None or int(match["count"]) == 0 or match["units"] == "0":
        raise ImproperlyConfigured(
            f"The throttle rate {rate!r} of {scope!r} is not like '10/min' or '3/10m'."
        )
    seconds = int(match["units"] or 1) * _SECONDS[match["unit"]]
    return Limit(name=scope, who=who, count=int(match["count"]), seconds=seconds)


class _Throttle(BaseThrottle):
    """Count a call under all of `limits_of` in one step."""

    scope = ""
    verdict: Verdict | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Tell whether this call is within the limits, and count it if it is."""
        self.verdict = take(*filter(None, self.limits_of(request, view)))
        if not self.verdict.is_allowed:
            # For the exception handler, which puts the fields of the limit into the answer.
            request.rate_limit_error = self.verdict.as_error()  # type: ignore[attr-defined]  # ours
            call_refused.send(sender=Limit, limit=self.verdict.refused_by)
        return self.verdict.is_allowed

    def wait(self) -> float | None:
        """Return the whole seconds until the next call is allowed."""
        return None if self.verdict is None else math.ceil(self.verdict.wait_seconds)

    def limits_of(self, request: Request, view: APIView) -> list[Limit | None]:  # noqa: ARG002 - for subclasses
        return [limit_of(self.scope, who=self.ident_of(request))]

    def ident_of(self, request: Request) -> str:
        raise NotImplementedError


class AddressRateThrottle(_Throttle):
    """Count by address; set `scope` in a subclass, as with DRF's own."""

    scope = "address"

    def ident_of(self, request: Request) -> str:
        """Return the client's address."""
        return f"address:{address_to_count(request)}"


class UserRateThrottle(_Throttle):
    """Count by user, and by address where nobody is signed in."""

    scope = "user"

    def ident_of(self, request: Request) -> str:
        """Return the user, else the client's address."""
        if request.user and request.user.is_authenticated:
            return f"user:{request.user.pk}"
        return f"address:{address_to_count(request)}"


class ScopedRateThrottle(UserRateThrottle):
    """Count per `throttle_scope` of the view; a view without one is not limited.

    A view with `throttle_fields` is limited per value of each of them besides, whoever sends
    it: their scope is the view's with `_account` behind it. A field that is missing, or no
    text, is left to the view, which will refuse the body.
    """

    def limits_of(self, request: Request, view: APIView) -> list[Limit | None]:
        """Return the limit of the caller, and of whom the body names."""
        self.scope = getattr(view, "throttle_scope", "")
        if not self.scope:
            return []
        limits = super().limits_of(request, view)
        fields = getattr(view, "throttle_fields", ())
        body = request.data if fields else None
        values = [body.get(field) for field in fields] if isinstance(body, Mapping) else []
        for value in filter(None, values):
            if isinstance(value, str):
                who = f"value:{one_spelling(value)}"
                limits.append(limit_of(f"{self.scope}_account", who=who))
        return limits
