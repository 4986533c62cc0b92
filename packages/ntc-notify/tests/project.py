"""What a project adds: the function that reads a code at the moment it is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ntc_notify.errors import ContentGone

#: challenge uid -> code, as a project's own table would know; or a function that returns it.
CODES: dict[str, str | Callable[[], str]] = {}


def read_code(context: dict[str, Any]) -> dict[str, Any]:
    code = CODES.get(context["challenge_uid"])
    if code is None:
        raise ContentGone("The code was used.")
    return {"code": code() if callable(code) else code}


def read_wrong_names(context: dict[str, Any]) -> dict[str, Any]:
    return {"pin": "1"}
