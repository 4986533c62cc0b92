"""The door: what is refused, what is stored, what is answered, in which order."""

from __future__ import annotations

import io
import logging
import secrets
import threading
import time

import pytest
from django.db import connection, connections
from django.test import Client, RequestFactory
from ntc_core.errors import NotFound
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.renderers import encode_json
from ntc_core.request_id import bind_request_id
from ntc_core.testing import assert_error
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import split_provider_slug
from ntc_core.webhooks.types import WebhookRequest
from ntc_core.webhooks.views import WebhookView

from tests.webhooks.company import event, sign
from tests.webhooks.conftest import URL
from tests.webhooks.urls import Webhooks, company

pytestmark = pytest.mark.django_db

MAX_BYTES = 256 * 1024


def assert_nothing_stored() -> None:
    assert not WebhookEvent.objects.exists()
    assert not OutboxJob.objects.exists()


def test_proven_event_is_stored_with_its_job_and_acknowledged(deliver):
    body = event(phone="+255712345678")

    response = deliver(body, **{"X-Request-ID": "0199-delivery"})

    assert (response.status_code, response.content) == (202, b'{"taken":true}')
    assert response.headers["Content-Type"] == "application/json"
    row = WebhookEvent.objects.get()
    assert (row.channel, row.provider, row.dedupe_key) == ("payments", "acme", "evt_1")
    assert (row.event_type, row.state, row.attempts) == ("payment.paid", "received", 0)
    assert bytes(row.body) == body
    job = OutboxJob.objects.get()
    assert (job.task, job.arguments) == ("tests.handle_webhook", [row.pk])
    assert row.request_id == job.request_id == response.headers["X-Request-ID"]


def test_job_acts_upon_the_event(deliver):
    deliver(event())

    run_due_jobs()

    row = WebhookEvent.objects.get()
    assert (row.state, row.attempts, row.last_error) == ("processed", 1, "")
    assert row.processed_at is not None


def test_repeated_delivery_gets_the_same_answer_and_changes_nothing(deliver):
    first = deliver(event())
    run_due_jobs()
    second = deliver(event(again=True))

    assert (second.status_code, second.content) == (first.status_code, first.content)
    row = WebhookEvent.objects.get()
    assert (row.state, bytes(row.body)) == ("processed", event())
    assert OutboxJob.objects.count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_parallel_deliveries_make_one_row_and_one_job(deliver):
    barrier = threading.Barrier(10)
    statuses: list[int] = []

    def deliver_together() -> None:
        barrier.wait()
        statuses.append(deliver(event()).status_code)
        connections.close_all()

    threads = [threading.Thread(target=deliver_together) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [202] * 10
    assert WebhookEvent.objects.count() == OutboxJob.objects.count() == 1


def test_same_key_of_another_channel_is_another_event(deliver, settings):
    deliver(event())
    WebhookEvent.objects.update(channel="notify")
    deliver(event())

    assert WebhookEvent.objects.count() == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Company-Signature": "0" * 64},
        {"X-Company-Signature": ""},
        {"X-Company-Timestamp": "1"},
        sign(b"another body"),
        sign(event(), at=time.time() - 301),
        sign(event(), at=time.time() + 302),
    ],
    ids=["wrong", "empty", "other-time", "other-body", "too-old", "too-new"],
)
def test_forged_event_is_refused_and_not_stored(deliver, caplog, headers):
    response = deliver(event(phone="+255712345678"), **headers)

    assert_error(response, 401, "signature_invalid")
    assert response.headers["Content-Type"] == "application/json"
    assert_nothing_stored()
    (record,) = [record for record in caplog.records if record.message == "webhook.forged"]
    assert record.body_bytes > 0
    assert "712345678" not in caplog.text


def test_event_without_any_signature_is_refused():
    response = Client().post(URL, event(), content_type="application/json")

    assert_error(response, 401, "signature_invalid")
    assert_nothing_stored()


def test_altered_body_is_refused(deliver):
    headers = sign(event(amount="1000"))

    assert_error(deliver(event(amount="9000"), **headers), 401, "signature_invalid")
    assert_nothing_stored()


def test_proven_nonsense_is_refused_and_not_stored(deliver, caplog):
    assert_error(deliver(b"<html>"), 400, "invalid")
    assert_nothing_stored()
    assert "webhook.unreadable" in caplog.messages


def test_announced_large_body_is_refused_unread(deliver):
    company.requests.clear()

    assert_error(deliver(b"x" * (MAX_BYTES + 1)), 413, "too_large")
    assert_nothing_stored()
    assert company.requests == []


def test_body_that_announces_too_much_is_not_read_at_all():
    endless = Endless()
    request = without_length(endless)
    request.META["CONTENT_LENGTH"] = str(MAX_BYTES + 1)

    with bind_request_id("0199-test"):
        assert_error(Webhooks.as_view()(request, provider="acme"), 413, "too_large")
    assert endless.taken == 0


def test_largest_allowed_body_is_taken(deliver):
    body = event()
    body = body[:-1] + b" " * (MAX_BYTES - len(body)) + body[-1:]

    assert deliver(body).status_code == 202


def test_body_limit_is_a_setting(deliver, settings):
    settings.NTC_WEBHOOK_MAX_BYTES = 10

    assert_error(deliver(event()), 413, "too_large")


class Endless(io.RawIOBase):
    """A body without end, which counts what was taken of it."""

    taken = 0

    def read(self, size: int = -1) -> bytes:
        """Return as much as is asked for, for ever."""
        assert size >= 0, "nobody may ask for everything"
        self.taken += size
        return b"x" * size


def without_length(stream: object) -> object:
    """Return a POST whose server says where the body ends, but not how long it is."""
    request = RequestFactory().generic("POST", URL, b"", headers=sign(event()))
    request.META.pop("CONTENT_LENGTH", None)
    request.META |= {"wsgi.input": stream, "wsgi.input_terminated": True}
    return request


def test_body_without_length_is_read_to_its_end():
    response = Webhooks.as_view()(without_length(io.BytesIO(event())), provider="acme")

    assert response.status_code == 202
    assert bytes(WebhookEvent.objects.get().body) == event()


def test_body_without_length_is_read_up_to_the_limit():
    endless = Endless()

    with bind_request_id("0199-test"):
        response = Webhooks.as_view()(without_length(endless), provider="acme")

    assert_error(response, 413, "too_large")
    assert endless.taken == MAX_BYTES + 1


class Broken(io.RawIOBase):
    """A connection that is cut while the body arrives."""

    def read(self, size: int = -1) -> bytes:
        """Fail as a socket does."""
        raise ConnectionResetError


def test_cut_body_is_refused():
    with bind_request_id("0199-test"):
        response = Webhooks.as_view()(without_length(Broken()), provider="acme")

    assert_error(response, 400, "invalid")


def test_nonsense_content_length_is_no_server_error():
    request = RequestFactory().generic("POST", URL, b"")
    request.META["CONTENT_LENGTH"] = "many"

    assert Webhooks.as_view()(request, provider="acme").status_code == 401


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_other_methods_are_refused(method):
    response = getattr(Client(), method)(URL)

    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    if method != "head":
        body = assert_error(response, 405, "method_not_allowed")
        assert response.content == encode_json(body), "The bytes of every other error."
        assert response.headers["Content-Length"] == str(len(response.content))


@pytest.mark.parametrize("name", ["nobody", "acme-suffix", "acme-", "-", "quiet", "é"])
def test_unknown_provider_is_not_found(deliver, name, settings):
    settings.NTC_WEBHOOK_PATH_SECRET = secrets.token_hex(8)

    assert_error(deliver(event(), url=f"/api/v1/webhooks/payments/{name}/"), 404, "not_found")
    assert_nothing_stored()


def test_company_that_does_not_sign_is_known_by_its_path(deliver, settings, caplog):
    settings.NTC_WEBHOOK_PATH_SECRET = secret = f"{secrets.token_hex(8)}-{secrets.token_hex(8)}"
    url = "/api/v1/webhooks/payments/quiet-"

    with caplog.at_level(logging.DEBUG):
        assert deliver(b"n-1", url=f"{url}{secret}/").status_code == 200
        assert_error(deliver(b"n-2", url=f"{url}{secret[:-1]}/"), 404)
        settings.NTC_WEBHOOK_MAX_BYTES = 1
        assert_error(deliver(b"n-3", url=f"{url}{secret}/"), 413)

    assert WebhookEvent.objects.get().provider == "quiet"
    ours = [record for record in caplog.records if record.name != "ntc_core.middleware"]
    assert not any(secret in record.getMessage() for record in ours)


def test_suffix_opens_nothing_where_no_secret_is_set(deliver):
    with pytest.raises(NotFound):
        split_provider_slug("quiet-")
    assert_error(deliver(b"n-1", url="/api/v1/webhooks/payments/quiet-/"), 404)
    assert_error(deliver(b"n-1", url="/api/v1/webhooks/payments/quiet-x/"), 404)


def test_what_authorises_is_not_stored(deliver):
    deliver(
        event(),
        Authorization="Bearer abc",
        Cookie="session=abc",
        **{"X-Api-Key": "abc", "Beem-Secure-Token": "abc", "User-Agent": "u" * 999},
    )

    stored = WebhookEvent.objects.get().headers
    assert stored["x-event-id"] == "evt_1"
    assert stored["content-type"] == "application/json"
    assert stored["user-agent"] == "u" * 256
    kept = {"content-length", "content-type", "user-agent", "x-event-id", "x-company-timestamp"}
    assert set(stored) <= kept | {"x-request-id"}


def test_provider_sees_the_call_as_it_came(deliver):
    company.requests.clear()

    deliver(event(), url=f"{URL}?challenge=7&challenge=8")

    (seen,) = company.requests
    assert isinstance(seen, WebhookRequest)
    assert (seen.method, seen.path, seen.query) == ("POST", URL, {"challenge": "8"})
    assert seen.body == event()
    assert seen.headers["x-event-id"] == "evt_1"
    assert seen.received_at.utcoffset().total_seconds() == 0
    assert "evt_1" not in repr(seen)


def test_form_body_arrives_as_bytes(deliver):
    client = Client()
    response = client.post(
        URL, event(), content_type="application/x-www-form-urlencoded", headers=sign(event())
    )

    assert response.status_code == 202


@pytest.mark.parametrize("key", ["k" * 300, "with\x00nul"])
def test_key_that_does_not_fit_is_stored_as_its_digest(deliver, key):
    assert deliver(event(id=key, type="odd\x00type")).status_code == 202
    assert deliver(event(id=key, type="odd\x00type")).status_code == 202

    row = WebhookEvent.objects.get()
    assert row.dedupe_key.startswith("sha256:")
    assert row.event_type == "oddtype"


def test_verified_event_without_key_is_the_providers_bug(deliver):
    assert deliver(event(id="")).status_code == 500
    assert_nothing_stored()


@pytest.mark.django_db(transaction=True)
def test_database_that_is_away_asks_the_company_to_come_again(deliver, caplog):
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "/nowhere/at/all"
    try:
        response = deliver(event())
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name

    assert_error(response, 503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert_nothing_stored()


@pytest.mark.django_db(transaction=True)
def test_event_and_job_are_stored_together_or_not_at_all(deliver, monkeypatch):
    monkeypatch.setattr(Webhooks, "job", "no.such_job")

    assert deliver(event()).status_code == 500

    assert_nothing_stored()


def test_subclass_has_to_say_who_proves():
    with pytest.raises(NotImplementedError):
        WebhookView().get_verifier("acme")


def test_door_is_open_to_strangers_and_outside_request_transactions():
    view = Webhooks.as_view()

    assert view.csrf_exempt is True
    assert view._non_atomic_requests == {"default"}
