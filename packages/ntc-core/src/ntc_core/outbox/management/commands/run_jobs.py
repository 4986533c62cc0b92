"""`manage.py run_jobs`: run what is due, once or for ever."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ntc_core.outbox import runner, services
from ntc_core.outbox.jobs import QUEUES

__all__ = ["Command"]


class Command(BaseCommand):
    """A worker without a broker: it asks the database each second."""

    help = "Run the due jobs of the outbox and stop; with --forever, go on until SIGTERM."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--forever",
            action="store_true",
            help="Keep running. SIGTERM or Ctrl-C lets the job in progress finish.",
        )

        parser.add_argument(
            "--queue", choices=QUEUES, help="Only the jobs of this queue; otherwise all."
        )

    def handle(self, *_args: Any, forever: bool, queue: str | None = None, **_options: Any) -> None:
        """Run the jobs."""
        if forever:
            self._run_forever(queue)
            return
        services.enqueue_recurring()
        self.stdout.write(f"{services.run_due_jobs(queue=queue)} job(s) run.")

    def _run_forever(self, queue: str | None) -> None:
        stopping = threading.Event()

        def stop(_signal: int, _frame: FrameType | None) -> None:
            stopping.set()

        previous = {
            number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)
        }
        self.stdout.write("Running jobs until SIGTERM.")
        try:
            runner.run_until(stopping, queue=queue)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
