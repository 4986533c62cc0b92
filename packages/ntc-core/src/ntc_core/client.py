"""Who is calling: the address as far as it can be trusted, and the device's own words.

`RequestIdMiddleware` binds the caller for the time of the request, so a service that limits
or records something need not be handed the request. In a job nobody is calling.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from ntc_core.conf import core_settings

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

__all__ = [
    "address_to_count",
    "bind_request",
    "client_address",
    "current_request",
    "network_of",
    "user_agent_of",
]

IPV4 = 4
#: An IPv6 subscriber owns 2**64 addresses and more; all of them are one caller.
IPV6_SUBSCRIBER_BITS = 64
LONGEST_USER_AGENT = 200

_request: ContextVar[HttpRequest | None] = ContextVar("ntc_request", default=None)


def current_request() -> HttpRequest | None:
    """Return the request being answered, None outside of any."""
    return _request.get()


@contextmanager
def bind_request(request: HttpRequest) -> Iterator[None]:
    """Make `request` the current one within the block."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def client_address(request: HttpRequest | Request) -> str:
    """Return the address of the client, as far as it can be trusted.

    Each trusted proxy (NTC_TRUSTED_PROXY_COUNT) appends the address it saw to
    `X-Forwarded-For`; what stands further left was written by the client itself. With 0
    proxies the header is ignored altogether, and what is no address is not believed.
    """
    direct: str = request.META.get("REMOTE_ADDR", "")
    count = core_settings.TRUSTED_PROXY_COUNT
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if count < 1 or not forwarded:
        return direct
    addresses = forwarded.split(",")
    # Fewer entries than proxies: the request came in behind one of them; believe the first.
    return _without_port(addresses[-min(count, len(addresses))].strip()) or direct


def address_to_count(request: HttpRequest | Request) -> str:
    """Return what the limits count as one caller: an IPv4 address, or an IPv6 subscriber."""
    address = client_address(request)
    ip = _parsed(address)
    if ip is None or ip.version == IPV4:
        return address
    return str(ipaddress.ip_network((ip, IPV6_SUBSCRIBER_BITS), strict=False))


def network_of(address: str) -> str:
    """Return the network of an address, enough to recognise it and not to find a person."""
    ip = _parsed(address)
    if ip is None:
        return ""
    return str(ipaddress.ip_network((ip, 24 if ip.version == IPV4 else 48), strict=False))


def user_agent_of(request: HttpRequest | Request) -> str:
    """Return what the client says it is, printable and short."""
    text = request.META.get("HTTP_USER_AGENT", "")
    return "".join(filter(str.isprintable, text))[:LONGEST_USER_AGENT]


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def _without_port(text: str) -> str:
    """Return the address in `1.2.3.4:5`, `[::1]:5` or plain, `""` where there is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    ip = _parsed(text)
    return "" if ip is None else str(ip)
