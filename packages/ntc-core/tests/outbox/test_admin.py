"""Jobs in the admin: seen and retried, never edited, added or deleted."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from ntc_core.outbox import enqueue
from ntc_core.outbox.models import OutboxJob
from ntc_core.testing.plugin import make_user

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
    answer = admin_client.post(url, {"state": "done", "task": "other"})

    assert str(row.uid) in page
    assert 'name="_save"' not in page
    assert answer.status_code == 403
    row.refresh_from_db()
    assert (row.task, row.state) == ("tests.note", "queued")


def test_jobs_are_neither_added_nor_deleted_by_hand(admin_client):
    row = enqueue(note, 1)

    assert admin_client.get(reverse("admin:ntc_outbox_outboxjob_add")).status_code == 403
    url = reverse("admin:ntc_outbox_outboxjob_delete", args=[row.pk])
    assert admin_client.post(url, {"post": "yes"}).status_code == 403
    assert OutboxJob.objects.exists()


def test_only_staff_who_may_change_jobs_retry_them(client):
    """Who may only look sees no action."""
    looker = make_user(is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_outboxjob"))
    client.force_login(looker)
    row = enqueue(note, 1)
    OutboxJob.objects.update(state="parked", attempts=10)

    page = client.get(reverse(LIST)).content.decode()
    act(client, "retry_parked")

    assert "tests.note" in page
    assert "retry_parked" not in page
    row.refresh_from_db()
    assert row.state == "parked"


def test_list_leaves_out_recurring_runs_that_went_well(admin_client):
    """One job a second, for weeks: what staff look for would be lost among them."""
    routine = "ntc_outbox.purge"
    done, waiting = (enqueue(routine, dedupe_key=key) for key in ("slot-1", "slot-2"))
    other = enqueue(note, 1)
    OutboxJob.objects.filter(pk__in=[done.pk, other.pk]).update(state="done")

    def listed(query: dict[str, str]) -> set[int]:
        page = admin_client.get(reverse(LIST), query)
        return set(page.context["cl"].queryset.values_list("pk", flat=True))

    assert listed({}) == {waiting.pk, other.pk}
    assert listed({"routine": "all"}) == {done.pk, waiting.pk, other.pk}
    assert listed({"routine": "all", "task": routine}) == {done.pk, waiting.pk}


def test_list_offers_both_and_marks_the_one_shown(admin_client):
    page = admin_client.get(reverse(LIST))

    (choices,) = [
        list(spec.choices(page.context["cl"]))
        for spec in page.context["cl"].filter_specs
        if getattr(spec, "parameter_name", "") == "routine"
    ]
    assert [(choice["display"], choice["selected"]) for choice in choices] == [
        ("Leave out the finished", True),
        ("Show all", False),
    ]


def test_list_shows_the_start_of_a_long_error(admin_client):
    enqueue(note, 1)
    OutboxJob.objects.update(last_error="x" * 500)

    page = admin_client.get(reverse(LIST)).content.decode()

    assert "x" * 40 in page
    assert "x" * 200 not in page


def test_job_names_itself(admin_client):
    row = enqueue(note, 1)

    assert str(row) == f"tests.note {row.uid}"
