"""Jobs in the admin: seen and retried, never edited, added or deleted."""

from __future__ import annotations

import pytest
from django.urls import reverse
from ntc_core.outbox import enqueue
from ntc_core.outbox.models import OutboxJob

from tests.outbox.sample_jobs import note

pytestmark = pytest.mark.django_db

LIST = "admin:ntc_outbox_outboxjob_changelist"
CHANGE = "admin:ntc_outbox_outboxjob_change"


def act(admin_client, action: str) -> str:
    """Choose all jobs and an action; return the page that follows."""
    ids = list(OutboxJob.objects.values_list("pk", flat=True))
    data = {"action": action, "_selected_action": ids}
    return admin_client.post(reverse(LIST), data, follow=True).content.decode()


def test_parked_jobs_are_retried(admin_client):
    row = enqueue(note, 1)
    OutboxJob.objects.update(state="parked", attempts=10)

    page = act(admin_client, "retry_parked")

    assert "1 job(s) will be tried again" in page
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("queued", 0)


def test_waiting_jobs_are_brought_forward(admin_client):
    enqueue(note, 1)

    assert "1 job(s) are due now" in act(admin_client, "run_now")


def test_job_is_shown_and_cannot_be_edited(admin_client):
    row = enqueue(note, 1)
    url = reverse(CHANGE, args=[row.pk])

    page = admin_client.get(url).content.decode()
    admin_client.post(url, {"state": "done", "task": "other"})

    assert str(row.uid) in page
    row.refresh_from_db()
    assert (row.task, row.state) == ("tests.note", "queued")


def test_jobs_are_neither_added_nor_deleted_by_hand(admin_client):
    row = enqueue(note, 1)

    assert admin_client.get(reverse("admin:ntc_outbox_outboxjob_add")).status_code == 403
    url = reverse("admin:ntc_outbox_outboxjob_delete", args=[row.pk])
    assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert OutboxJob.objects.exists()


def test_job_names_itself(admin_client):
    row = enqueue(note, 1)

    assert str(row) == f"tests.note {row.uid}"
