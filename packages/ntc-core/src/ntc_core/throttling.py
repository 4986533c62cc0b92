"""Limit how often somebody may call, and tell who that is behind proxies.

A view names its limits; the rates are in REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]:

    class LoginView(APIView):
        throttle_classes = [ScopedRateThrottle]
        throttle_scope = "login"            # DEFAULT_THROTTLE_RATES = {"login": "10/min"}

A refused call is a 429 in the error envelope with `Retry-After`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from ntc_core.conf import core_settings

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework.views import APIView

__all__ = ["AddressRateThrottle", "ScopedRateThrottle", "UserRateThrottle", "client_address"]

_RATE = re.compile(r"(?P<count>\d+)/(?P<units>\d*)(?P<unit>[smhd])[a-z]*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def client_address(request: HttpRequest | Request) -> str:
    """Return the address of the client, as far as it can be trusted.

    Each trusted proxy (NTC_TRUSTED_PROXY_COUNT) appends the address it saw to
    `X-Forwarded-For`; what stands further left was written by the client itself. With 0
    proxies the header is ignored altogether.
    """
    direct: str = request.META.get("REMOTE_ADDR", "")
    count = core_settings.TRUSTED_PROXY_COUNT
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if count < 1 or not forwarded:
        return direct
    addresses = [address.strip() for address in forwarded.split(",")]
    # Fewer entries than proxies: the request came in behind one of them; believe the first.
    return addresses[-min(count, len(addresses))] or direct


class _Throttle(SimpleRateThrottle):
    """Read the rate when used, so that `override_settings` works; never store an address."""

    def get_rate(self) -> str | None:
        """Return the rate of the scope.

        Raises:
            ImproperlyConfigured: the scope has none.
        """
        rates: dict[str, Any] = api_settings.DEFAULT_THROTTLE_RATES
        if self.scope not in rates:
            raise ImproperlyConfigured(
                f"REST_FRAMEWORK['DEFAULT_THROTTLE_RATES'] has no {self.scope!r}. "
                "Add it, such as '10/min', or None for no limit."
            )
        rate: str | None = rates[self.scope]
        return rate

    def parse_rate(self, rate: str | None) -> tuple[int | None, int | None]:
        """Read `"10/min"`, `"5/h"`, and also `"3/10m"`: three within ten minutes."""
        if rate is None:
            return None, None
        match = _RATE.fullmatch(rate)
        if match is None or int(match["count"]) == 0 or match["units"] == "0":
            raise ImproperlyConfigured(
                f"The throttle rate {rate!r} of {self.scope!r} is not like '10/min' or '3/10m'."
            )
        return int(match["count"]), int(match["units"] or 1) * _SECONDS[match["unit"]]

    def get_cache_key(self, request: Request, view: APIView) -> str | None:  # noqa: ARG002 - DRF's
        """Return one key per scope and caller."""
        ident = self.ident_of(request)
        # A digest: cache keys may not hold every character, and are nobody's business.
        digest = hashlib.sha256(ident.encode(errors="replace")).hexdigest()[:32]
        return f"ntc.throttle:{self.scope}:{digest}"

    def ident_of(self, request: Request) -> str:
        raise NotImplementedError


class AddressRateThrottle(_Throttle):
    """Count by address; set `scope` in a subclass, as with DRF's own."""

    scope = "address"

    def ident_of(self, request: Request) -> str:
        """Return the client's address."""
        return f"address:{client_address(request)}"


class UserRateThrottle(_Throttle):
    """Count by user, and by address where nobody is signed in."""

    scope = "user"

    def ident_of(self, request: Request) -> str:
        """Return the user, else the client's address."""
        if request.user and request.user.is_authenticated:
            return f"user:{request.user.pk}"
        return f"address:{client_address(request)}"


class ScopedRateThrottle(UserRateThrottle):
    """Count per `throttle_scope` of the view; a view without one is not limited."""

    scope = ""

    def __init__(self) -> None:
        # The scope is the view's, known only in `allow_request`.
        self.rate: str | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        """Tell whether this call is within the limit of the view's scope."""
        self.scope = getattr(view, "throttle_scope", "")
        if not self.scope:
            return True
        self.rate = self.get_rate()
        self.num_requests, self.duration = self.parse_rate(self.rate)
        return super().allow_request(request, view)
