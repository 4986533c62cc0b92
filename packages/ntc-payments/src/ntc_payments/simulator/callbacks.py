"""Tell the merchant what happened: signed, and again until somebody answers 2xx."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from ntc_payments.simulator.faults import FaultDial
from ntc_payments.simulator.store import Callback, Store

__all__ = ["CallbackSender", "sign"]

log = logging.getLogger("ntc_payments.simulator")

_SWEEP_SECONDS = 0.1
_TIMEOUT_SECONDS = 10.0


def sign(secret: str, *, timestamp: str, body: bytes) -> str:
    """Return the lower-case hex HMAC-SHA256 over `timestamp.body`."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


class CallbackSender(threading.Thread):
    """Sends what is due and ends prompts that timed out, until `stop()`."""

    def __init__(self, *, store: Store, dial: FaultDial, secret: str) -> None:
        super().__init__(name="callbacks", daemon=True)
        self._store = store
        self._dial = dial
        self._secret = secret
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="callback")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def run(self) -> None:
        """Sweep until stopped."""
        while not self._stopped.wait(_SWEEP_SECONDS):
            self._store.expire_due()
            for callback in self._store.claim_callbacks():
                self._pool.submit(self._deliver, callback)

    def stop(self) -> None:
        """End the thread; what is not delivered stays in the store."""
        self._stopped.set()
        self.join(timeout=5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, callback: Callback) -> None:
        faults = self._dial.faults
        time.sleep(faults.callback_delay_seconds)
        if faults.callback == "drop":
            self._store.callback_done(callback, delivered=True)
            return
        delivered = self._post(callback)
        if faults.callback == "duplicate":
            self._post(callback)
        self._store.callback_done(callback, delivered=delivered)

    def _post(self, callback: Callback) -> bool:
        body = callback.body.encode()
        timestamp = str(int(time.time()))
        request = urllib.request.Request(  # noqa: S310 - the merchant's own http(s) URL, checked on entry
            callback.url,
            data=body,
            method="POST",
            headers={
                "Content-Type": "application/json",
                "X-Simulator-Timestamp": timestamp,
                "X-Simulator-Signature": sign(self._secret, timestamp=timestamp, body=body),
            },
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as response:
                status = int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                status = error.code
        except (OSError, ValueError) as error:
            log.info("callback %s not delivered: %s", callback.id, type(error).__name__)
            return False
        log.info("callback %s answered %s", callback.id, status)
        return 200 <= status < 300  # noqa: PLR2004 - the 2xx of HTTP
