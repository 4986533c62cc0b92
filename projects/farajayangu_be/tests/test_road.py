"""From sign-up to receipt over real HTTP: on a bare machine, and as it is deployed."""

from __future__ import annotations

import httpx
import pytest
from ntc_core.testing import assert_error, assert_success

from .processes import wait_until
from .road import Road
from .stack import Stack


def test_the_road_on_a_bare_machine(dev_server):
    """SQLite, jobs in the process, the simulator as a child of `manage.py dev`."""
    road = Road(base_url=dev_server.base_url, phone="0713 000 101", phone_e164="+255713000101")

    payment = road.walk()

    assert payment["amount"] == "2000.00"
    assert payment["currency"] == "TZS"
    receipts = [message for message in road.messages() if "Asante" in message["body"]]
    assert len(receipts) == 1
    assert set(receipts[0]) == {"to", "channel", "subject", "body", "sent_at"}
    assert receipts[0]["channel"] == "sms"
    assert len(receipts[0]["body"]) <= 160


def test_a_declined_prompt_fails_the_payment_and_activates_nothing(dev_server):
    road = Road(base_url=dev_server.base_url, phone="0713 000 102", phone_e164="+255713000102")
    road.sign_up()
    road.sign_in()
    payment = road.subscribe()
    prompt = road.wait_for_prompt()

    httpx.post(f"{road.base_url}/dev/phone/{prompt['uid']}/decline/", timeout=20)

    road.wait_for_message(containing="hayakufanikiwa")
    assert assert_success(road.get(f"payments/{payment['uid']}/"))["status"] == "failed"
    assert assert_success(road.get("subscriptions/me/"))["status"] == "none"


def test_nobody_sees_the_payment_of_another(dev_server):
    road = Road(base_url=dev_server.base_url, phone="0713 000 103", phone_e164="+255713000103")
    road.sign_up()
    road.sign_in()
    payment = road.subscribe()
    stranger = Road(base_url=dev_server.base_url, phone="0713 000 104", phone_e164="+255713000104")
    stranger.sign_up()
    stranger.sign_in()

    assert_error(stranger.get(f"payments/{payment['uid']}/"), 404)


def test_a_lost_answer_can_be_asked_for_again(dev_server):
    """The same Idempotency-Key gives the same payment, and one prompt."""
    road = Road(base_url=dev_server.base_url, phone="0713 000 105", phone_e164="+255713000105")
    road.sign_up()
    road.sign_in()

    first = road.subscribe(Idempotency_Key="my-purchase")
    road.wait_for_prompt()
    second = road.subscribe(Idempotency_Key="my-purchase")

    assert second["uid"] == first["uid"]
    assert assert_success(road.get("payments/"))["count"] == 1


@pytest.mark.postgres
@pytest.mark.redis
def test_the_road_with_postgresql_redis_celery_worker_and_beat(fresh_postgres, tmp_path):
    """Web, worker and beat are processes of their own and meet in PostgreSQL and Redis only."""
    stack = Stack(database_url=fresh_postgres, folder=tmp_path)
    with stack.simulator(), stack.workers(), stack.web() as web:
        road = Road(base_url=stack.base_url, phone="0713 000 201", phone_e164="+255713000201")

        payment = road.walk()

        assert len([each for each in road.messages() if "Asante" in each["body"]]) == 1
        wait_until(lambda: stack.count_done("ntc_payments.poll_due"), what="a tick of beat")
        ready = httpx.get(f"{stack.base_url}/health/ready/", timeout=20)
        assert_success(ready)
        # The tick would have covered for a web process that cannot reach the broker.
        assert "outbox.publish_failed" not in web.output
    assert stack.count_periods(payment) == 1
    assert stack.status_of(payment) == "succeeded"
