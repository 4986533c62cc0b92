"""One click and no more of this kind: RFC 8058, for the emails of marketing kinds.

The token names the channel, the kind and the digest of the address, signed for this purpose
alone. It does not expire: a link in an old email has to work, and all it can do is to stop
emails.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core import signing

from ntc_notify.conf import Kind, notify_settings
from ntc_notify.models import Message, hash_address
from ntc_notify.types import Channel

__all__ = [
    "Unsubscription",
    "make_token",
    "make_unsubscribe_url",
    "read_token",
    "unsubscribe_headers",
]

_SALT = "ntc_notify.unsubscribe"


@dataclass(frozen=True, kw_only=True)
class Unsubscription:
    """What a token asks for."""

    channel: Channel
    kind: str
    address_hash: str
    masked_address: str


def make_token(message: Message, kind: Kind) -> str:
    """Return the token that unsubscribes the message's address from the kind."""
    channel = Channel(message.channel)
    content = [
        channel.value,
        kind.name,
        hash_address(channel, message.address),
        message.masked_address,
    ]
    return signing.dumps(content, salt=_SALT)


def read_token(token: str) -> Unsubscription | None:
    """Return what the token asks for, or None: it is not one of ours."""
    try:
        channel, kind, address_hash, masked_address = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, ValueError):
        return None
    return Unsubscription(
        channel=Channel(channel),
        kind=kind,
        address_hash=address_hash,
        masked_address=masked_address,
    )


def make_unsubscribe_url(message: Message, kind: Kind) -> str:
    """Return the link that ends it; empty where the settings do not say where we are reached."""
    base = notify_settings.NOTIFY_API_URL.rstrip("/")
    return f"{base}/notifications/unsubscribe/{make_token(message, kind)}/" if base else ""


def unsubscribe_headers(message: Message, kind: Kind) -> dict[str, str]:
    """Return List-Unsubscribe and List-Unsubscribe-Post as far as the settings give an address."""
    url, address = make_unsubscribe_url(message, kind), notify_settings.NOTIFY_UNSUBSCRIBE_EMAIL
    ways = [f"<{url}>"] if url else []
    if address:
        ways.append(f"<mailto:{address}?subject={kind.name}>")
    headers = {"List-Unsubscribe": ", ".join(ways)} if ways else {}
    return headers | ({"List-Unsubscribe-Post": "List-Unsubscribe=One-Click"} if url else {})
