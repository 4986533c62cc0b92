"""Tell the merchant what happened: signed, and again until somebody answers 2xx."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from ntc_payments.simulator.posting import post
from ntc_payments.simulator.store import Callback
from ntc_payments.simulator.world import World

__all__ = ["CallbackSender"]

log = logging.getLogger("ntc_payments.simulator")

_SWEEP_SECONDS = 0.1


class CallbackSender(threading.Thread):
    """Sends what is due and ends prompts that timed out, until `stop()`."""

    def __init__(self, world: World) -> None:
        super().__init__(name="callbacks", daemon=True)
        self._world = world
        self._store = world.store
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="callback")
        #: Company -> a callback that waits for the next one, for the fault "reorder".
        self._held: dict[str, Callback] = {}
        self._held_lock = threading.Lock()

    def run(self) -> None:
        """Sweep until stopped."""
        while not self._stopped.wait(_SWEEP_SECONDS):
            self._world.expire_overdue()
            for callback in self._store.claim_callbacks():
                self._pool.submit(self._deliver, callback)

    def stop(self) -> None:
        """End the thread; what is not delivered stays in the store."""
        self._stopped.set()
        self.join(timeout=5)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, callback: Callback) -> None:
        faults = self._world.dial_of(callback.company).faults
        time.sleep(faults.callback_delay_seconds)
        if faults.callback == "drop":
            self._store.callback_done(callback, delivered=True)
            return
        held = self._hold(callback) if faults.callback == "reorder" else None
        if held is callback:
            return
        self._send(callback)
        if faults.callback == "duplicate":
            self._post(callback)
        if held is not None:
            self._send(held)

    def _hold(self, callback: Callback) -> Callback | None:
        """Keep this one back if none is; else return the one that was."""
        with self._held_lock:
            before = self._held.pop(callback.company, None)
            if before is None:
                self._held[callback.company] = callback
                return callback
            return before

    def _send(self, callback: Callback) -> None:
        self._store.callback_done(callback, delivered=self._post(callback))

    def _post(self, callback: Callback) -> bool:
        headers = self._world[callback.company].callback_headers(callback)
        try:
            status, _ = post(callback.url, callback.body.encode(), headers)
        except (OSError, ValueError) as error:
            log.info("callback %s not delivered: %s", callback.id, type(error).__name__)
            return False
        log.info("callback %s answered %s", callback.id, status)
        return 200 <= status < 300  # noqa: PLR2004 - the 2xx of HTTP
