"""The stage: a company in a process of its own, workers and a web server that can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_payments import services
from ntc_payments.models import PaymentAttempt, Payout, Refund

__all__ = [
    "KILLED",
    "deliver",
    "finish",
    "kill_worker",
    "leases_end",
    "serving",
    "settle_down",
    "worker",
]

KILLED = 137

_BEGIN = textwrap.dedent(
    """
    import json, os, sys, time
    import django
    import time_machine
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = os.environ["WORKER_DATABASE"]
    settings.NTC_PAYMENT_PROVIDERS = json.loads(os.environ["WORKER_PROVIDERS"])
    django.setup()
    if wrong_by := float(os.environ.get("WORKER_CLOCK_IS_WRONG_BY", 0)):
        time_machine.travel(time.time() + wrong_by).start()
    """
)
_WORKER = _BEGIN + textwrap.dedent(
    """
    from concurrent.futures import ThreadPoolExecutor
    from django.db import connection
    from ntc_core.outbox.jobs import job
    from ntc_core.outbox.services import run_due_jobs
    from ntc_payments import services

    if os.environ.get("WORKER_KNOWS"):
        @job(os.environ["WORKER_KNOWS"])
        def of_tomorrow(pk):
            print(f"done {pk}", flush=True)

    def work(_):
        run_due_jobs(int(limit) if limit else None)
        connection.close()

    limit = os.environ.get("WORKER_JOBS")
    print("ready", flush=True)
    if os.environ.get("WORKER_SWEEPS"):
        services.poll_due()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(int(os.environ.get("WORKER_THREADS", 1)))))
    os._exit(137 if limit else 0)
    """
)
_SERVER = _BEGIN + textwrap.dedent(
    """
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
    from django.core.wsgi import get_wsgi_application

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 128

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    server = make_server("127.0.0.1", 0, get_wsgi_application(), Server, Quiet)
    print(server.server_address[1], flush=True)
    server.serve_forever()
    """
)
_STARTER = _BEGIN + textwrap.dedent(
    """
    from django.contrib.auth import get_user_model
    from django.db import transaction
    from ntc_core.money import Money
    from ntc_payments import services

    with transaction.atomic():
        services.start_payment(
            payer=get_user_model().objects.get(pk=int(sys.argv[1])),
            money=Money.from_major("15000", "TZS"),
            method="mobile_push",
            phone="0712345678",
            purpose=sys.argv[2],
            description="Plan, one month",
            idempotency_key=sys.argv[2],
        )
        os._exit(137)
    """
)


def _process(script: str, settings: Any, *arguments: str, **environment: str) -> Any:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "WORKER_DATABASE": connection.settings_dict["NAME"],
            "WORKER_PROVIDERS": json.dumps(settings.NTC_PAYMENT_PROVIDERS),
            **environment,
        },
        stdout=subprocess.PIPE,
        text=True,
    )


def worker(settings: Any, **environment: str) -> Any:
    """Start a process that runs the due jobs, with this test's database and companies.

    Args:
        environment: `NTC_FAILPOINT`, where it dies; `WORKER_JOBS`, after how many jobs it does;
            `WORKER_THREADS`, how many run jobs; `WORKER_SWEEPS`, that it looks first for what
            is due; `WORKER_CLOCK_IS_WRONG_BY`, in seconds; `WORKER_KNOWS`, the name of a job of
            tomorrow.
    """
    return _process(_WORKER, settings, **environment)


def finish(*workers: Any) -> str:
    """Wait until they have done everything; return what they said."""
    said = [process.communicate(timeout=120)[0] for process in workers]
    assert not any(process.returncode for process in workers), said
    return "".join(said)


def kill_worker(settings: Any, **environment: str) -> None:
    """Run a worker that dies where it is told to."""
    process = worker(settings, **environment)
    process.communicate(timeout=60)
    assert process.returncode == KILLED, "it ended before it could be killed"


def die_before_commit(settings: Any, payer_id: int, key: str) -> None:
    """Start a payment in a process that dies in the transaction."""
    process = _process(_STARTER, settings, str(payer_id), key)
    process.communicate(timeout=60)
    assert process.returncode == KILLED


@contextlib.contextmanager
def serving(settings: Any, **environment: str) -> Iterator[str]:
    """Run the web side as a process; yield its address. It may die meanwhile."""
    process = _process(_SERVER, settings, **environment)
    try:
        port = process.stdout.readline().strip()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate(timeout=20)


def deliver(url: str, body: bytes, headers: dict[str, str]) -> int | None:
    """Post a webhook over the wire; None: nobody answered."""
    request = urllib.request.Request(
        url, data=body, method="POST", headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def leases_end() -> None:
    """Let the leases of dead processes run out."""
    past = timezone.now() - timedelta(seconds=1)
    OutboxJob.objects.filter(state="running").update(lease_until=past)
    for model in (PaymentAttempt, Refund, Payout):
        model.objects.filter(status="sending").update(lease_until=past)


def settle_down(*, rounds: int = 4) -> None:
    """Let time pass until nothing is left to do: leases end, polls come due, jobs run."""
    for _ in range(rounds):
        leases_end()
        now = timezone.now()
        for model in (PaymentAttempt, Refund, Payout):
            model.objects.filter(next_poll_at__isnull=False).update(
                next_poll_at=now, last_polled_at=None
            )
        services.poll_due()
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()


def wait_until(condition: Any, *, seconds: float = 20) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
