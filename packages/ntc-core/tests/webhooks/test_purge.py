"""Bodies are kept for a while; what they were, and that they were, is kept for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from ntc_core.errors import Conflict
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import purge_bodies, replay_event
from ntc_core.webhooks.tasks import purge_bodies as purge_job

from tests.webhooks.company import event

pytestmark = pytest.mark.django_db

BODY = event(phone="+255712345678")


@pytest.fixture
def row(deliver) -> WebhookEvent:
    """Return an event that was acted upon 91 days ago."""
    deliver(BODY)
    run_due_jobs()
    return age(WebhookEvent.objects.get(), days=91)


def age(row: WebhookEvent, *, days: float) -> WebhookEvent:
    at = timezone.now() - timedelta(days=days)
    WebhookEvent.objects.filter(pk=row.pk).update(processed_at=at)
    row.refresh_from_db()
    return row


def test_old_body_goes_and_the_row_stays(row):
    before = (row.uid, row.dedupe_key, row.event_type, row.state, row.processed_at)

    purge_job()

    row.refresh_from_db()
    assert bytes(row.body) == b""
    assert row.body_purged_at is not None
    assert (row.uid, row.dedupe_key, row.event_type, row.state, row.processed_at) == before


def test_late_repetition_is_still_the_same_event(row, deliver):
    """The dedupe key did not go: it has no second effect."""
    purge_job()

    assert deliver(BODY).status_code == 202

    assert WebhookEvent.objects.count() == 1
    assert run_due_jobs() == 0


@pytest.mark.parametrize("state", ["received", "unmatched", "failed", "parked"])
def test_what_still_waits_keeps_its_body(row, state):
    WebhookEvent.objects.update(state=state)

    purge_job()

    row.refresh_from_db()
    assert bytes(row.body) == BODY


@pytest.mark.parametrize(
    ("days", "keep", "is_kept"),
    [(89, 90, True), (91, 90, False), (91, 92, True), (8, 7, False), (10_000, None, True)],
)
def test_for_how_long_is_a_setting(row, settings, days, keep, is_kept):
    settings.NTC_WEBHOOK_KEEP_BODY_DAYS = keep
    age(row, days=days)

    purge_job()

    row.refresh_from_db()
    assert (row.body_purged_at is None) is is_kept
    assert bool(bytes(row.body)) is is_kept


def test_batches_are_small_and_all_are_done(row):
    """Each once: the second run finds nothing."""
    for number in range(4):
        row.pk, row.uid = None, f"01999999-9999-7999-8999-99999999999{number}"
        row.dedupe_key = f"k{number}"
        row.save(force_insert=True)

    assert [purge_bodies(2) for _ in range(4)] == [2, 2, 1, 0]


def test_event_without_its_body_is_not_replayed(row):
    """Nobody can say any more what it told; it stays as it ended."""
    purge_job()
    jobs = OutboxJob.objects.count()

    with pytest.raises(Conflict, match="cannot be replayed"):
        replay_event(row)

    row.refresh_from_db()
    assert row.state == "processed"
    assert OutboxJob.objects.count() == jobs


def test_event_that_is_being_replayed_keeps_its_body(row):
    replay_event(row)

    purge_job()

    row.refresh_from_db()
    assert bytes(row.body) == BODY


def test_staff_see_that_it_is_gone(row, admin_client):
    """On its page, and when they would run it again."""
    purge_job()

    page = admin_client.get(reverse("admin:ntc_webhooks_webhookevent_change", args=[row.pk]))
    answer = admin_client.post(
        reverse("admin:ntc_webhooks_webhookevent_changelist"),
        {"action": "replay", "_selected_action": [row.pk]},
        follow=True,
    )

    assert f"(removed on {timezone.now():%Y-%m-%d})" in page.content.decode()
    text = answer.content.decode()
    assert "cannot be replayed" in text
    assert "0 event(s) will be replayed" in text
