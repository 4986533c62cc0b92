"""What becomes of an event: finished, failed, parked, replayed."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from ntc_core.outbox import enqueue
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import finish_event, replay_event

from tests.outbox.sample_jobs import fail
from tests.webhooks.company import event

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(deliver) -> WebhookEvent:
    deliver(event(phone="+255712345678", email="asha@example.com"))
    return WebhookEvent.objects.get()


@pytest.fixture
def broken(deliver) -> WebhookEvent:
    deliver(event(type="broken"))
    return WebhookEvent.objects.get()


@pytest.mark.parametrize(
    ("state", "is_end"),
    [("processed", True), ("ignored", True), ("unmatched", False), ("parked", False)],
)
def test_finished_event_tells_how_it_ended(row, state, is_end):
    finish_event(row, state=state, error="no payment of +255712345678")

    assert (row.state, row.attempts) == (state, 1)
    assert row.last_error == "no payment of +2557****678"
    assert (row.processed_at is not None) is is_end
    row.refresh_from_db()
    assert row.state == state


def test_unknown_state_is_refused(row):
    with pytest.raises(ValueError, match="lost"):
        finish_event(row, state="lost")


def test_event_whose_job_breaks_is_failed_then_parked(broken):
    run_due_jobs()
    broken.refresh_from_db()
    assert (broken.state, broken.attempts) == ("failed", 1)
    assert broken.last_error == "RuntimeError: cannot act upon +2557****678"

    bring_forward(OutboxJob.objects.all())
    run_due_jobs()

    broken.refresh_from_db()
    assert (broken.state, broken.attempts) == ("parked", 2)


def test_failure_of_a_job_that_has_no_event_touches_no_event(row):
    enqueue(fail, "a")
    OutboxJob.objects.exclude(task="tests.fail").delete()

    run_due_jobs()

    row.refresh_from_db()
    assert row.state == "received"


def test_parked_event_is_replayed(broken):
    OutboxJob.objects.update(state="parked")
    WebhookEvent.objects.update(state="parked", event_type="payment.paid")

    replay_event(broken)
    run_due_jobs()

    broken.refresh_from_db()
    assert broken.state == "processed"


def test_processed_event_can_be_replayed_again_and_again(row):
    run_due_jobs()
    for _ in range(2):
        replay_event(row)
        row.refresh_from_db()
        assert (row.state, row.processed_at) == ("received", None)
        assert run_due_jobs() == 1

    row.refresh_from_db()
    assert (row.state, row.attempts) == ("processed", 3)


def test_log_tells_that_an_event_came_came_again_and_was_run_again(deliver, caplog):
    """By its uid, and without what is in it."""
    caplog.set_level("INFO")
    body = event(phone="+255712345678")
    for _ in range(2):
        deliver(body)
    row = WebhookEvent.objects.get()

    replay_event(row)

    told = [
        (record.getMessage(), record.event_uid)
        for record in caplog.records
        if record.getMessage().startswith("webhook.")
    ]
    assert told == [
        ("webhook.received", str(row.uid)),
        ("webhook.duplicate", str(row.uid)),
        ("webhook.replayed", str(row.uid)),
    ]
    assert "712345678" not in caplog.text


def test_staff_replays_in_the_admin(row, admin_client):
    run_due_jobs()

    page = admin_client.post(
        reverse("admin:ntc_webhooks_webhookevent_changelist"),
        {"action": "replay", "_selected_action": [row.pk]},
        follow=True,
    )

    assert "1 event(s) will be replayed" in page.content.decode()
    assert run_due_jobs() == 1
    [act] = LogEntry.objects.all()
    assert (act.object_id, act.change_message) == (str(row.pk), "Replayed.")
    assert act.user.is_superuser


def test_staff_sees_the_event_without_the_people_in_it(row, admin_client):
    url = reverse("admin:ntc_webhooks_webhookevent_change", args=[row.pk])

    page = admin_client.get(url).content.decode()
    answer = admin_client.post(url, {"state": "ignored", "event_type": "other"})

    assert 'name="_save"' not in page
    assert answer.status_code == 403
    assert "payment.paid" in page
    assert "+2557****678" in page
    assert "712345678" not in page
    assert "asha@example.com" not in page
    row.refresh_from_db()
    assert (row.state, row.event_type) == ("received", "payment.paid")


def test_staff_sees_a_body_that_is_no_json_too(row, admin_client):
    WebhookEvent.objects.update(body=b"MSISDN=0712345678&<b>\xff")

    page = admin_client.get(reverse("admin:ntc_webhooks_webhookevent_change", args=[row.pk]))

    assert "MSISDN=+2557****678&amp;&lt;b&gt;" in page.content.decode()


def test_staff_cannot_invent_or_delete_events(row, admin_client):
    add = reverse("admin:ntc_webhooks_webhookevent_add")
    delete = reverse("admin:ntc_webhooks_webhookevent_delete", args=[row.pk])

    assert admin_client.get(add).status_code == 403
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert WebhookEvent.objects.exists()


def test_event_names_itself(row):
    assert str(row) == f"payments/acme payment.paid {row.uid}"
