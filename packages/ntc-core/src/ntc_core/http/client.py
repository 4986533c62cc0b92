"""The client of one company."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ntc_core.http.trace import TracedCall, note_call
from ntc_core.http.types import HttpFailure

if TYPE_CHECKING:
    import ssl

    import httpx

    from ntc_core.http.types import HttpAnswer

__all__ = ["HttpClient"]


class HttpClient:
    """Calls one company. Thread-safe; keep one per provider.

    Every call opens its own connection: a kept one may be dead, and then nobody knows
    whether the request arrived. Redirects are not followed and proxy variables not read:
    a request with our key goes where the settings say, or nowhere.
    """

    def __init__(
        self,
        *,
        base_url: str,
        total_timeout_seconds: float = 15.0,
        connect_timeout_seconds: float = 5.0,
        max_response_bytes: int = 262_144,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Args:
        base_url: scheme, host and perhaps a path that every call's path is appended to.
        total_timeout_seconds: from the call to the last byte of the answer.
        connect_timeout_seconds: the part of it that connecting may take.
        max_response_bytes: a larger answer is `NoAnswer`.
        headers: sent with every call.
        """
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise ValueError(f"A base URL is http(s)://host[:port][/path], not {base_url!r}.")
        self.base_url = base_url.rstrip("/")
        self.total_timeout_seconds = total_timeout_seconds
        self.connect_timeout_seconds = connect_timeout_seconds
        self.max_response_bytes = max_response_bytes
        self.headers = dict(headers or {})
        self._ssl_context: ssl.SSLContext | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: bytes | str | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send one request and return the answer, whatever its status.

        Args:
            path: appended to the base URL.
            json: sent as JSON; or
            content: sent as it is, for companies that sign the exact bytes.

        Raises:
            NotSent: certainly not received. Also when too many calls hang already.
            NoAnswer: perhaps received.
        """
        # httpx would cost every script that only wants the types a tenth of a second.
        from ntc_core.http import exchange  # noqa: PLC0415

        request = exchange.build_request(
            method,
            f"{self.base_url}/{path.lstrip('/')}",
            json=json,
            content=content,
            params=params,
            headers={**self.headers, **(headers or {})},
        )
        if self._ssl_context is None and request.url.scheme == "https":
            self._ssl_context = exchange.make_ssl_context()
        prepared = exchange.Exchange(
            request,
            total_timeout_seconds=self.total_timeout_seconds,
            connect_timeout_seconds=self.connect_timeout_seconds,
            max_response_bytes=self.max_response_bytes,
            ssl_context=self._ssl_context,
        )
        began = time.monotonic()
        try:
            answer = prepared.run()
        except HttpFailure as error:
            _note(request, began=began, error=type(error).__name__)
            raise
        _note(request, began=began, status=answer.status)
        return answer


def _note(
    request: httpx.Request, *, began: float, status: int | None = None, error: str = ""
) -> None:
    seconds = time.monotonic() - began
    note_call(
        TracedCall(
            method=request.method,
            host=request.url.host,
            path=request.url.path,
            status=status,
            started_at=datetime.now(UTC) - timedelta(seconds=seconds),
            seconds=seconds,
            error=error,
        )
    )
