"""Over real sockets: a running server, and one that dies at the worst moment."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from django.db import connection
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.webhooks.models import WebhookEvent

from tests.outbox.processes import PACKAGE
from tests.webhooks import urls  # noqa: F401 - registers the job
from tests.webhooks.company import SECRET, event, sign
from tests.webhooks.conftest import URL

pytestmark = pytest.mark.django_db(transaction=True)

KILLED = 137


def post(port: int, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Deliver over a real socket."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        client.request("POST", URL, body, headers)
        response = client.getresponse()
        return response.status, response.read()
    finally:
        client.close()


@contextmanager
def web_process(**environment: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run a web server in a process of its own; yield its port and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.webhooks.server", str(connection.settings_dict["NAME"])],
        cwd=PACKAGE,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "COMPANY_TEST_SECRET": SECRET.hex(),
            **environment,
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_running_server_takes_and_refuses(live_server):
    port = urlsplit(live_server.url).port

    assert post(port, event(), sign(event()))[0] == 202
    assert post(port, event(), sign(event()))[0] == 202
    status, body = post(port, event(id="evt_2"), sign(b"other"))

    assert status == 401
    assert json.loads(body)["errors"][0]["code"] == "signature_invalid"
    assert WebhookEvent.objects.count() == OutboxJob.objects.count() == 1


def test_web_process_killed_after_the_commit_loses_nothing():
    body, headers = event(), sign(event())
    with web_process(NTC_FAILPOINT="webhook.committed") as (port, process):
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            post(port, body, headers)
        assert process.wait(timeout=20) == KILLED

    with web_process() as (port, _):
        # The company saw no answer, so it delivers again, to the process after the crash.
        assert post(port, body, headers)[0] == 202

    assert WebhookEvent.objects.get().state == "received"
    assert run_due_jobs() == 1
    row = WebhookEvent.objects.get()
    assert (row.state, row.attempts) == ("processed", 1)


def test_other_failpoints_do_not_concern_the_webhook():
    with web_process(NTC_FAILPOINT="somewhere.else") as (port, process):
        assert post(port, event(), sign(event()))[0] == 202
        assert process.poll() is None
