"""One key, one effect, one answer: repeated, at once, with mistakes, and when the process dies."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from ntc_core.idempotency.models import IdempotentAnswer
from ntc_core.idempotency.tasks import purge
from ntc_core.testing import assert_error
from ntc_core.testing.plugin import make_client, make_user
from rest_framework.test import APIClient

from tests.models import Shop
from tests.outbox.processes import PACKAGE

pytestmark = pytest.mark.django_db

PLACE = "/api/v1/place/"
KEY = "a-key-of-the-client"


@pytest.fixture(autouse=True)
def _urls(settings):
    settings.ROOT_URLCONF = "tests.idempotency.urls"


def place(client: APIClient, name: str = "Duka", *, key: str | None = KEY, path=PLACE, **more):
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(path, {"name": name, **more}, headers=headers)


def test_a_repeated_call_has_one_effect_and_the_same_answer(api_client):
    first, second = place(api_client), place(api_client)

    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert first["Location"] == second["Location"]
    assert list(first.json()["data"]) == ["z", "uid", "at", "a"]
    assert (first.has_header("Idempotent-Replayed"), second["Idempotent-Replayed"]) == (
        False,
        "true",
    )
    assert Shop.objects.count() == 1


def test_without_a_key_every_call_has_its_effect(api_client):
    place(api_client, key=None)
    place(api_client, key=None)
    assert Shop.objects.count() == 2
    assert not IdempotentAnswer.objects.exists()


def test_spaces_and_order_do_not_make_another_request(api_client):
    bodies = ['{"name":"Duka","seconds":0}', '{ "seconds": 0, "name": "Duka" }']
    answers = [
        api_client.post(
            PLACE, body, content_type="application/json", headers={"Idempotency-Key": KEY}
        )
        for body in bodies
    ]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    ("path", "name"), [(PLACE, "Another"), ("/api/v1/strict/", "Duka"), (f"{PLACE}?x=1", "Duka")]
)
def test_the_same_key_for_something_else_is_refused(path, name, api_client):
    place(api_client)
    refused = place(api_client, name, path=path)
    assert_error(refused, 422, code="idempotency_key_reused")
    assert refused.json()["errors"][0]["attr"] == "Idempotency-Key"
    assert Shop.objects.count() == 1


def test_people_have_keys_of_their_own(api_client):
    clients = [api_client, make_client(), make_client()]
    for client in clients[1:]:
        client.force_authenticate(make_user())
    uids = {place(client).json()["data"]["uid"] for client in clients}
    assert len(uids) == 3


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "a" * 256, "a\tb"])
def test_an_odd_key_is_refused(key, api_client):
    refused = place(api_client, key=key)
    assert_error(refused, 400, code="invalid")
    assert not Shop.objects.exists()


def test_a_view_may_insist_on_a_key(api_client):
    refused = place(api_client, key=None, path="/api/v1/strict/")
    assert_error(refused, 400, code="required")
    assert place(api_client, path="/api/v1/strict/").status_code == 201


@pytest.mark.parametrize(
    ("name", "status"), [("raises", 422), ("returns", 409), ("breaks", 500), ("twice", 500)]
)
def test_what_fails_leaves_nothing_and_the_key_is_free(name, status, api_client):
    for _ in range(2):
        assert place(api_client, name).status_code == status
    assert not Shop.objects.exists()
    assert not IdempotentAnswer.objects.exists()
    assert place(api_client).status_code == 201


def test_input_that_is_refused_leaves_the_key_free(api_client):
    assert place(api_client, "x" * 41).status_code == 400
    assert place(api_client, "x" * 40).status_code == 201


def test_an_ordinary_viewset_needs_nothing_else(api_client):
    first = place(api_client, path="/api/v1/shops/")
    second = place(api_client, path="/api/v1/shops/")
    assert (first.status_code, first.content) == (201, second.content)
    assert api_client.get("/api/v1/shops/", headers={"Idempotency-Key": KEY}).status_code == 200
    assert Shop.objects.count() == 1


def test_an_answer_without_the_functions_stays_as_it_is(api_client):
    first, second = (place(api_client, path="/api/v1/once/") for _ in range(2))
    assert first.content == second.content
    assert first.json()["data"] == {"name": "x"}


def test_it_costs_one_insert_and_one_update(api_client, django_assert_num_queries):
    with django_assert_num_queries(1):
        place(api_client, key=None)
    with django_assert_num_queries(5) as asked:  # the transaction's two savepoints are the test's
        place(api_client)
    words = [query["sql"].split(" ", 1)[0] for query in asked.captured_queries]
    assert words == ["SAVEPOINT", "INSERT", "INSERT", "UPDATE", "RELEASE"]


def test_a_key_is_forgotten_after_its_time(api_client, settings):
    place(api_client)
    IdempotentAnswer.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert place(api_client, "Another").status_code == 201
    assert Shop.objects.count() == 2

    place(api_client, key="second")
    IdempotentAnswer.objects.filter(key=KEY).update(expires_at=timezone.now())
    purge()
    assert [answer.key for answer in IdempotentAnswer.objects.all()] == ["second"]


@pytest.mark.django_db(transaction=True)
def test_fifty_at_once_have_one_effect_and_equal_answers():
    def call(_):
        try:
            return place(make_client(), seconds=0.3)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(call, range(50)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum(answer.has_header("Idempotent-Replayed") for answer in answers) == 49
    assert Shop.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_second_is_the_first_where_the_first_fails():
    """They wait for it; then one of them does what it could not."""

    def call(name):
        try:
            return place(make_client(), name, seconds=0.3).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(call, ["breaks"] * 8))
    assert statuses == [500] * 8
    assert not Shop.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_waits_too_long_is_told_that_it_is_still_running():
    def call(seconds):
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '200ms'")
            return place(make_client(), seconds=2)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(call, range(2)))
    refused, made = sorted(answers, key=lambda answer: -answer.status_code)
    assert made.status_code == 201
    assert_error(refused, 409, code="idempotency_key_in_use")
    assert Shop.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_key_of_a_process_that_was_killed_is_usable_again(api_client):
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "NTC_FAILPOINT": "place.written",
    }
    database = str(connection.settings_dict["NAME"])
    with subprocess.Popen(
        [sys.executable, "-m", "tests.idempotency.server", database],
        cwd=PACKAGE,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        client = http.client.HTTPConnection("127.0.0.1", int(process.stdout.readline()), timeout=20)
        headers = {"Content-Type": "application/json", "Idempotency-Key": KEY}
        client.request("POST", PLACE, json.dumps({"name": "Duka"}), headers)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            client.getresponse()
        client.close()
        assert process.wait(20) == 137
    assert not Shop.objects.exists()

    assert place(api_client).status_code == 201
    assert Shop.objects.count() == 1
