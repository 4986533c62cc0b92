"""The names of streams: a stream is the row of events that one kind of socket carries."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["LONGEST_NAME", "require_name", "stream_of"]

LONGEST_NAME = 80
#: What the channel layer takes as the name of a group.
_NAME = re.compile(rf"[A-Za-z0-9_.-]{{1,{LONGEST_NAME}}}")


def stream_of(user: Any) -> str:
    """Return the name of the stream that all sockets at `/ws/` of this user carry.

    Args:
        user: the user, or their primary key where fetching the row would be all it is for.
    """
    return f"user.{getattr(user, 'pk', user)}"


def require_name(name: str, *, what: str) -> None:
    """Refuse what is no name of a stream or an event.

    Raises:
        ValueError: it is not 1 to 80 letters, digits, dots, hyphens and underscores.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name of {what}: expected 1 to {LONGEST_NAME} ASCII letters, digits, "
            "dots, hyphens and underscores, such as 'payment.updated'."
        )
