"""Tell the merchant what became of messages: one try each, as Beem documents no more."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from ntc_notify.simulator.beem import Beem
from ntc_notify.simulator.store import Sms

__all__ = ["Reporter"]

log = logging.getLogger("ntc_notify.simulator")

_SWEEP_SECONDS = 0.05
_TIMEOUT_SECONDS = 10.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


class Reporter(threading.Thread):
    """Moves messages on when their time has come and posts the reports, until `stop()`."""

    def __init__(self, beem: Beem) -> None:
        super().__init__(name="reports", daemon=True)
        self._beem = beem
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="report")
        #: A report that waits for the next one, for the fault "reorder".
        self._held: tuple[Sms, bytes] | None = None

    def run(self) -> None:
        """Sweep until stopped."""
        while not self._stopped.wait(_SWEEP_SECONDS):
            for sms, status in self._beem.advance():
                self._report(sms, status)

    def stop(self) -> None:
        """End the thread; a report that is not out stays untold."""
        self._stopped.set()
        self.join(timeout=5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _report(self, sms: Sms, status: str) -> None:
        """Decide in order, post at once in the pool."""
        url = self._beem.store.recall("callback_url")
        fault = self._beem.dial.faults.callback
        if not url or fault == "drop":
            return
        news = (sms, json.dumps(self._beem.report_body(sms, status)).encode())
        batch = [news, news] if fault == "duplicate" else [news]
        if fault == "reorder":
            held, self._held = self._held, None
            if held is None:
                self._held = news
                return
            batch = [news, held]
        self._pool.submit(self._post, url, batch)

    def _post(self, url: str, batch: list[tuple[Sms, bytes]]) -> None:
        time.sleep(self._beem.dial.faults.callback_delay_seconds)
        for sms, body in batch:
            request = urllib.request.Request(  # noqa: S310 - the merchant's own http(s) URL, checked on entry
                url, data=body, method="POST", headers={"Content-Type": "application/json"}
            )
            try:
                with _OPENER.open(request, timeout=_TIMEOUT_SECONDS):
                    self._beem.store.note_report(sms.id)
            except (OSError, ValueError) as error:
                log.info("report %s not delivered: %s", sms.id, type(error).__name__)
