"""The web process dies between the webhook's commit and the job's start. Nothing is lost."""

from __future__ import annotations

import httpx
import pytest
from ntc_core.testing import assert_success

from .processes import free_ports, run
from .road import Road
from .stack import Stack

KILLED = 137
FAILPOINT = {"NTC_FAILPOINT": "webhook.committed"}


@pytest.mark.postgres
@pytest.mark.redis
def test_a_committed_webhook_outlives_the_web_process(fresh_postgres, tmp_path):
    """No worker runs when the web dies, and the company never speaks again: the row is all."""
    stack = Stack(database_url=fresh_postgres, folder=tmp_path)
    road = Road(base_url=stack.base_url, phone="0713 000 301", phone_e164="+255713000301")
    with stack.simulator() as simulator:
        with stack.fragile_web(**FAILPOINT) as web:
            with stack.workers():
                road.sign_up()
                road.sign_in()
                payment = road.subscribe()
                prompt = road.wait_for_prompt()
            httpx.post(f"{stack.base_url}/dev/phone/{prompt['uid']}/approve/", timeout=20)
            assert web.process.wait(30) == KILLED, web.output
        simulator.kill()

    assert stack.status_of(payment) == "processing"
    assert _state_of_last_event(stack) == "received"

    with stack.web(), stack.workers():
        road.arrive(payment)
        assert_success(road.get("subscriptions/me/"))
    assert stack.status_of(payment) == "succeeded"
    assert _state_of_last_event(stack) == "processed"
    assert stack.count_periods(payment) == 1


def test_the_bare_machine_continues_where_it_was_killed(tmp_path):
    """The same with SQLite and the jobs in the process that died."""
    ports = free_ports(2)
    env = {
        "PORT": str(ports[0]),
        "SIMULATOR_BASE_URL": f"http://127.0.0.1:{ports[1]}",
        "LOCAL_DIR": str(tmp_path / "local"),
    }
    base_url = f"http://127.0.0.1:{ports[0]}"
    road = Road(base_url=base_url, phone="0713 000 302", phone_e164="+255713000302")
    serve = ["manage.py", "dev", "--noreload"]
    with run("dying", serve, env={**env, **FAILPOINT}, folder=tmp_path) as dying:
        dying.wait_for(f"{base_url}/health/ready/")
        road.sign_up()
        road.sign_in()
        payment = road.subscribe()
        prompt = road.wait_for_prompt()
        httpx.post(f"{base_url}/dev/phone/{prompt['uid']}/approve/", timeout=20)
        assert dying.process.wait(30) == KILLED, dying.output

    with run("again", serve, env=env, folder=tmp_path) as again:
        again.wait_for(f"{base_url}/health/ready/")
        road.arrive(payment)
        receipts = [each for each in road.messages() if "Asante" in each["body"]]
        assert len(receipts) == 1


def _state_of_last_event(stack: Stack) -> str:
    rows = stack.query("SELECT state FROM ntc_webhooks_webhookevent ORDER BY id DESC LIMIT 1")
    return str(rows[0][0])
