"""`manage.py dev`: everything a developer needs, in one process and its simulator.

Migrates, seeds, starts the simulator, says where everything is, serves. The address comes
from PORT, because the pages and the callbacks name it too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn
from urllib.parse import urlsplit

import uvicorn
from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as RunserverCommand
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils.autoreload import DJANGO_AUTORELOAD_ENV, raise_last_exception
from django.utils.module_loading import import_string
from ntc_core.outbox import runner

from apps.common import demo
from apps.common.simulator_process import (
    SimulatorDied,
    find_free_port,
    is_free,
    is_listening,
    run_simulator,
)

__all__ = ["Command"]


class Command(RunserverCommand):
    """Django's reloader with the world around it, and the server of production, for its sockets."""

    help = "Migrate, seed, start the simulator and serve on 127.0.0.1:$PORT (default 8000)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare once; the autoreloader's child, which runs this too, only serves."""
        if not settings.DEBUG:
            raise CommandError("This is the development server, and DEBUG is off here.")
        if options["addrport"]:
            raise CommandError("Set PORT instead: PORT=9000 manage.py dev.")
        options["addrport"] = f"127.0.0.1:{settings.PORT}"
        # Our own lines say what this server is and where.
        os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")
        if os.environ.get(DJANGO_AUTORELOAD_ENV) == "true":
            _end_with_parent()
            super().handle(*args, **options)
            return
        if not is_free(settings.PORT):
            raise CommandError(f"Port {settings.PORT} is taken. Choose another: PORT=9000.")
        try:
            simulator = self._choose_simulator()
            call_command("migrate", interactive=False, verbosity=0)
            demo.seed()
            with simulator:
                self._say_where_things_are()
                super().handle(*args, **options)
        except SimulatorDied as error:
            raise CommandError(str(error)) from error

    def inner_run(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        """Serve; pick up the jobs that an earlier run left, before the first request."""
        # Of the modules that were just saved: the reloader waits for them to be mended.
        raise_last_exception()
        self.check(display_num_errors=True)
        runner.start()
        application = import_string(settings.ASGI_APPLICATION)
        uvicorn.run(
            application,
            host="127.0.0.1",
            port=settings.PORT,
            log_config=None,
            access_log=False,
            log_level="warning",
            # Who calls is decided by `ntc_core.client`.
            proxy_headers=False,
            timeout_graceful_shutdown=1,
        )

    def _choose_simulator(self) -> AbstractContextManager[None]:
        options = settings.NTC_PAYMENT_PROVIDERS.get("simulator")
        if options is None:
            return nullcontext()
        if is_listening(options["base_url"]) and os.environ.get("SIMULATOR_BASE_URL"):
            self.stdout.write(f"Using the simulator that runs at {options['base_url']}.")
            return nullcontext()
        if not is_free(urlsplit(options["base_url"]).port or 80):
            _begin_again_with_free_port()
        state = settings.LOCAL_DIR / "simulator.sqlite3"
        return run_simulator(options, state=state, callbacks=settings.PLAYED_COMPANIES)

    def _say_where_things_are(self) -> None:
        base = settings.PUBLIC_URL
        customer, admin = demo.list_demo_accounts()
        lines = [
            "",
            self.style.SUCCESS(f"{settings.NTC_PROJECT_NAME} on {base}/"),
            f"  API docs   {base}/docs/",
            f"  Pay        {base}/dev/pay/       a front end that waits for your PIN",
            f"  Phone      {base}/dev/phone/     approve or decline payments here",
            f"  Mailbox    {base}/dev/mailbox/   every SMS and email lands here",
            f"  Admin      {base}/admin/         {admin.email}  {admin.password}",
            f"  Sign in    {base}/api/v1/auth/login/",
            f"             identifier {customer.email} or {customer.phone_e164}",
            f"             password   {customer.password}",
        ]
        if settings.PLAYED_COMPANIES:
            lines.append(f"  Played     {', '.join(settings.PLAYED_COMPANIES)}   by the simulator")
        if settings.NTC_OUTBOX_RUNNER == "celery":
            lines.append("  Jobs       celery -A farajayangu_be.celery worker   (and: beat)")
        self.stdout.write("\n".join([*lines, ""]))
        self.stdout.flush()


def _begin_again_with_free_port() -> NoReturn:
    """Replace this process by one whose settings name another port for the simulator.

    The settings are read already, and somebody else has the usual port. The process keeps
    its id, and the autoreloader's child reads the same environment.
    """
    port = find_free_port(settings.PORT + 2)
    os.environ["SIMULATOR_BASE_URL"] = f"http://127.0.0.1:{port}"
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - ourselves, with our own arguments


def _end_with_parent() -> None:
    """End when the reloader dies without a word, or its port stays taken for good."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
