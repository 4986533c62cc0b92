"""Amazon's SDK on our own client: boto3 signs and reads, `HttpClient` carries.

The SDK's time-outs bound a single read, not a call, and do not tell whether anything has left.
Its event `before-send` hands us the signed request and takes our answer for the network's.
Needs botocore, which the caller has loaded by then.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ntc_core.http.client import HttpClient

__all__ = ["carry_for_boto", "quiet_boto_log"]


def carry_for_boto(client: Any, *, timeout_seconds: float) -> None:
    """Carry every request of a boto3 client, each within the time, from now on.

    Its methods then raise `HttpFailure` besides what the SDK raises. Answers are read as a
    whole, up to the limit of `HttpClient`.
    """
    quiet_boto_log()
    carrier = _Carrier(timeout_seconds=timeout_seconds)
    client.meta.events.register("before-send", carrier.carry)


def quiet_boto_log() -> None:
    """Hold back the SDK's debug log: it has every request in full, people and codes included."""
    sdk_log = logging.getLogger("botocore")
    sdk_log.setLevel(max(sdk_log.level, logging.INFO))


class _Carrier:
    """Takes the SDK's signed request over the network."""

    def __init__(self, *, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._clients: dict[str, HttpClient] = {}

    def carry(self, request: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse  # noqa: PLC0415 - an extra

        url = urlsplit(request.url)
        answer = self._client_for(f"{url.scheme}://{url.netloc}").request(
            request.method,
            f"{url.path}?{url.query}" if url.query else url.path,
            content=request.body,
            headers={name: _text(value) for name, value in request.headers.items()},
        )
        return AWSResponse(request.url, answer.status, dict(answer.headers), _Body(answer.body))

    def _client_for(self, site: str) -> HttpClient:
        """Return the client of a host: S3 gives each bucket one of its own."""
        return self._clients.setdefault(
            site, HttpClient(base_url=site, total_timeout_seconds=self._timeout_seconds)
        )


class _Body(io.BytesIO):
    """The bytes of an answer as the SDK reads them."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
