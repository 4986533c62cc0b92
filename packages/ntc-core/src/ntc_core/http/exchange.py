"""One request and its answer within one wall-clock deadline.

A timeout per read does not bound a call: a server that sends a byte each half second holds
a "1 s timeout" for hours. Here every socket operation gets what is left of the deadline.
Name resolution cannot be interrupted at all, so the exchange runs in a thread of its own
and is left behind at the deadline; MAX_EXCHANGES bounds how many there are.
"""

from __future__ import annotations

import json as json_module
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore
import httpx

from ntc_core.http.types import HttpAnswer, HttpFailure, NoAnswer, NotSent

__all__ = ["Exchange", "build_request", "make_ssl_context"]

#: Exchanges in flight in this process, those left behind included.
MAX_EXCHANGES = 64
#: After the deadline the thread gets this long to tell what it was waiting for.
GRACE_SECONDS = 0.25
WRITE_SIZE = 16 * 1024

_slots = threading.BoundedSemaphore(MAX_EXCHANGES)


def build_request(
    method: str,
    url: str,
    *,
    json: Any,
    content: bytes | str | None,
    params: Mapping[str, Any] | None,
    headers: Mapping[str, str],
) -> httpx.Request:
    """Return the request with its exact bytes; JSON is compact UTF-8."""
    # An answer that unpacks to a thousand times its size would pass the size limit.
    defaults = {"accept": "application/json", "accept-encoding": "identity"}
    if json is not None:
        if content is not None:
            raise ValueError("Give json or content, not both.")
        defaults["content-type"] = "application/json"
        content = json_module.dumps(
            json, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()
    merged = httpx.Headers(defaults)
    merged.update(headers)
    merged["connection"] = "close"
    return httpx.Request(method, url, params=params, headers=merged, content=content)


def make_ssl_context() -> ssl.SSLContext:
    """Return a context that verifies; environment variables do not change what it trusts."""
    return httpx.create_ssl_context(trust_env=False)


class Exchange:
    """A single use: build it, `run()` it."""

    def __init__(
        self,
        request: httpx.Request,
        *,
        total_timeout_seconds: float,
        connect_timeout_seconds: float,
        max_response_bytes: int,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self.request = request
        self.deadline = time.monotonic() + total_timeout_seconds
        self.connect_timeout_seconds = connect_timeout_seconds
        self.max_response_bytes = max_response_bytes
        self.ssl_context = ssl_context
        #: Set just before the first byte of the request is handed to the connection.
        self.sent = threading.Event()
        self._finished = threading.Event()
        self._outcome: HttpAnswer | Exception | None = None

    def run(self) -> HttpAnswer:
        """Return the answer.

        Raises:
            NotSent: nothing left this machine.
            NoAnswer: something did.
        """
        if not _slots.acquire(timeout=min(self.connect_timeout_seconds, self.left())):
            raise NotSent(
                f"{self._name()}: {MAX_EXCHANGES} calls are in flight already; most of them hang."
            )
        # Daemon: a call that was left behind must not hold up the end of the process.
        threading.Thread(target=self._work, name="ntc-http", daemon=True).start()
        self._finished.wait(self.left() + GRACE_SECONDS)
        outcome = self._outcome
        if isinstance(outcome, HttpAnswer):
            return outcome
        if outcome is None:
            raise self._failure("no answer before the deadline")
        if isinstance(outcome, HttpFailure):
            raise outcome
        # Whatever went wrong, a mistake of ours included: what counts is what was sent.
        raise self._failure(type(outcome).__name__) from outcome

    def left(self) -> float:
        """Return the seconds until the deadline, 0 when it has passed."""
        return max(self.deadline - time.monotonic(), 0.0)

    def _work(self) -> None:
        try:
            self._outcome = self._exchange()
        except Exception as error:  # noqa: BLE001 - told to the caller in its own thread
            self._outcome = error
        finally:
            self._finished.set()
            _slots.release()

    def _exchange(self) -> HttpAnswer:
        url = self.request.url
        connect = min(self.connect_timeout_seconds, self.left())
        call = httpcore.Request(
            self.request.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=self.request.headers.raw,
            content=self.request.content,
            extensions={"timeout": {"connect": connect}},
        )
        with httpcore.ConnectionPool(
            ssl_context=self.ssl_context, network_backend=_DeadlineBackend(self)
        ) as pool:
            response = pool.handle_request(call)
            try:
                return self._read(response)
            finally:
                response.close()

    def _read(self, response: httpcore.Response) -> HttpAnswer:
        headers = httpx.Headers(response.headers)
        if headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
            raise self._failure("the answer is compressed although we asked for plain bytes")
        body = bytearray()
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > self.max_response_bytes:
                raise self._failure(f"the answer is larger than {self.max_response_bytes} bytes")
        return HttpAnswer(status=response.status, headers={**headers}, body=bytes(body))

    def _failure(self, reason: str) -> HttpFailure:
        kind = NoAnswer if self.sent.is_set() else NotSent
        return kind(f"{self._name()}: {reason}.")

    def _name(self) -> str:
        """Return method and host; path and query may hold what logs must not."""
        return f"{self.request.method} {self.request.url.host}"


class _DeadlineBackend(httpcore.SyncBackend):
    """Opens connections that know the exchange's deadline."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _DeadlineStream(stream, self._exchange)


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every operation ends at the deadline, however often it is called."""

    def __init__(self, stream: httpcore.NetworkStream, exchange: Exchange) -> None:
        self._stream = stream
        self._exchange = exchange

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(httpcore.ReadTimeout, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._exchange.sent.set()
        for start in range(0, len(buffer), WRITE_SIZE):
            self._stream.write(
                buffer[start : start + WRITE_SIZE], self._left(httpcore.WriteTimeout, timeout)
            )

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._left(httpcore.ConnectTimeout, timeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _DeadlineStream(stream, self._exchange)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, error: type[httpcore.TimeoutException], timeout: float | None) -> float:
        """Return what is left; a timeout of 0 would mean "do not block" to a socket."""
        left = self._exchange.left()
        if left <= 0:
            raise error("the deadline has passed")
        return left if timeout is None else min(left, timeout)
