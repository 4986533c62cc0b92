"""What companies say later: by webhook, or asked; in any order, any number of times."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import replay_event
from ntc_notify import services
from ntc_notify.models import DeliveryAttempt, Message, MessageReceipt, Suppression
from ntc_notify.types import MessageState, Receipt, SendOutcome

from tests import scripted
from tests.people import (
    PHONE,
    deliver_receipt,
    run_now,
    send_alert,
    send_receipt_by_sms,
    state_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(sms_company) -> Message:
    """Return a message that the company has taken as ref-1."""
    message = send_receipt_by_sms()
    run_due_jobs()
    return message


def test_delivery_report_is_applied_and_announced(sent, heard):
    status = deliver_receipt("alpha", {"state": "delivered", "ref": "ref-1", "segments": 2})
    run_due_jobs()

    assert status == 200
    sent.refresh_from_db()
    assert (sent.state, sent.segments) == (MessageState.DELIVERED, 2)
    receipt = MessageReceipt.objects.get()
    assert (receipt.state, receipt.applied, receipt.attempt.message) == ("delivered", True, sent)
    assert receipt.webhook_uid == WebhookEvent.objects.get().uid
    assert heard == [("delivered", sent.uid)]


def test_receipt_finds_its_message_by_our_own_id(sms_company):
    """Where the answer to the call was lost, the company's id is not known."""
    sms_company.answers = [SendOutcome.unknown("silence")]
    message = send_receipt_by_sms()
    run_due_jobs()
    assert state_of(message) == MessageState.UNKNOWN
    [sms] = sms_company.received

    deliver_receipt("alpha", {"state": "delivered", "uid": str(sms.provider_uid)})
    run_due_jobs()

    assert state_of(message) == MessageState.DELIVERED


def test_id_of_a_batch_is_told_apart_by_address(sms_company):
    sms_company.answers = [SendOutcome.accepted(provider_ref="batch-1")] * 2
    first = send_receipt_by_sms()
    second = send_alert()
    Message.objects.filter(pk=second.pk).update(address="+255713000000")
    run_due_jobs()

    deliver_receipt("alpha", {"state": "failed", "ref": "batch-1", "address": PHONE})
    run_due_jobs()

    assert (state_of(first), state_of(second)) == ("failed", "accepted")


FACTS = ("accepted", "deferred", "soft_bounced", "delivered", "opened")


@pytest.mark.parametrize("order", list(itertools.permutations(FACTS, 3)))
def test_every_order_ends_at_the_highest(sent, order):
    for state in [*order, order[0]]:
        deliver_receipt("alpha", {"state": state, "ref": "ref-1"}, **{"X-Id": f"{state}-{order}"})
        run_due_jobs()

    assert state_of(sent) == max(order, key=FACTS.index)


def test_opened_means_delivered_and_is_announced_once(sent, heard):
    for state in ("opened", "delivered", "clicked"):
        deliver_receipt("alpha", {"state": state, "ref": "ref-1"})
        run_due_jobs()

    assert heard == [("opened", sent.uid)]


def test_hard_bounce_suppresses_the_address_also_after_delivery(sent):
    deliver_receipt("alpha", {"state": "delivered", "ref": "ref-1"})
    run_due_jobs()
    deliver_receipt(
        "alpha",
        {
            "state": "failed",
            "ref": "ref-1",
            "suppression": "hard_bounce",
            "reason": f"no such number {PHONE}",
        },
    )
    run_due_jobs()

    assert state_of(sent) == MessageState.DELIVERED
    row = Suppression.objects.get()
    assert (row.reason, row.source, row.kind) == ("hard_bounce", "alpha", "")
    assert PHONE not in row.detail
    later = send_receipt_by_sms()
    run_due_jobs()
    assert state_of(later) == MessageState.SUPPRESSED


def test_same_webhook_again_changes_nothing(sent):
    for _ in range(3):
        deliver_receipt("alpha", {"state": "delivered", "ref": "ref-1"})
        run_due_jobs()

    assert WebhookEvent.objects.count() == MessageReceipt.objects.count() == 1


def test_replayed_webhook_changes_nothing(sent, heard):
    deliver_receipt(
        "alpha", {"state": "failed", "ref": "ref-1", "suppression": "complaint", "reason": "spam"}
    )
    run_due_jobs()
    replay_event(WebhookEvent.objects.get())
    run_due_jobs()

    assert MessageReceipt.objects.count() == Suppression.objects.count() == 1
    assert heard == [("failed", sent.uid)]
    assert WebhookEvent.objects.get().state == "processed"


def test_replay_does_not_take_back_what_staff_have_lifted(sent):
    deliver_receipt("alpha", {"state": "failed", "ref": "ref-1", "suppression": "hard_bounce"})
    run_due_jobs()
    services.lift_suppression(Suppression.objects.get(), by=None)

    replay_event(WebhookEvent.objects.get())
    run_due_jobs()

    assert not Suppression.objects.filter(lifted_at=None).exists()


def test_receipt_that_beats_our_own_commit_is_matched_later(sms_company):
    deliver_receipt("alpha", {"state": "delivered", "ref": "ref-1"})
    run_due_jobs()
    assert WebhookEvent.objects.get().state == "unmatched"

    message = send_receipt_by_sms()
    run_due_jobs()
    run_now()

    assert state_of(message) == MessageState.DELIVERED
    assert WebhookEvent.objects.get().state == "processed"


def test_receipt_of_nobody_is_looked_for_a_while_and_stays_unmatched():
    scripted_company = "alpha"
    deliver_receipt(scripted_company, {"state": "delivered", "ref": "nobody"})
    run_now(10)

    event = WebhookEvent.objects.get()
    assert event.state == "unmatched"
    assert not OutboxJob.objects.filter(task="ntc_notify.process_webhook_event").exclude(
        state="done"
    )


@pytest.fixture(autouse=True)
def _company(sms_company):
    """Every test has the company, whether or not it looks at it."""


def test_event_without_receipts_is_ignored(sent):
    deliver_receipt("alpha")
    run_due_jobs()

    assert WebhookEvent.objects.get().state == "ignored"


def test_body_that_cannot_be_read_waits_for_staff(sent, client):
    response = client.post(
        "/api/v1/webhooks/notify/alpha/",
        b"<html>",
        content_type="application/json",
        headers={"X-Key": "right"},
    )
    run_due_jobs()

    event = WebhookEvent.objects.get()
    assert (response.status_code, event.state) == (200, "failed")
    assert event.last_error == "PayloadUnreadable"


def test_forged_receipt_stores_nothing(sent):
    assert deliver_receipt("alpha", {"state": "failed", "ref": "ref-1"}, key="wrong") == 401
    assert deliver_receipt("nobody", {"state": "failed", "ref": "ref-1"}) == 404

    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    ("path", "status"), [("alpha", 404), ("alpha-wrong", 404), ("alpha-" + "s" * 32, 200)]
)
def test_company_that_does_not_sign_is_known_by_its_path(settings, path, status):
    settings.NTC_WEBHOOK_PATH_SECRET = "s" * 32
    scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"], signs=False)

    assert deliver_receipt(path, {"state": "delivered", "ref": "ref-1"}) == status


# Asked.


@pytest.fixture
def asked(settings) -> scripted.Company:
    """Return a company that can be asked."""
    return scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"], can_query=True)["alpha"]


def come_due() -> None:
    past = timezone.now() - timedelta(seconds=1)
    DeliveryAttempt.objects.filter(next_query_at__isnull=False).update(next_query_at=past)


def test_company_that_can_be_asked_is_asked_what_became_of_it(asked):
    asked.knows = lambda ref, uid, address: (
        Receipt(state=MessageState.DELIVERED) if (ref, address) == ("ref-1", PHONE) else None
    )
    message = send_receipt_by_sms()
    run_due_jobs()
    assert services.query_due() == 0, "not so soon"

    come_due()
    assert services.query_due() == 1
    run_due_jobs()

    assert state_of(message) == MessageState.DELIVERED
    assert DeliveryAttempt.objects.get().next_query_at is None
    assert MessageReceipt.objects.get().webhook_uid is None


def test_held_message_is_settled_by_a_question(asked):
    asked.answers = [SendOutcome.unknown("silence")]
    asked.knows = lambda ref, uid, address: Receipt(state=MessageState.ACCEPTED)
    message = send_receipt_by_sms()
    run_due_jobs()
    assert state_of(message) == MessageState.UNKNOWN

    come_due()
    services.query_due()
    run_due_jobs()

    assert state_of(message) == MessageState.ACCEPTED


def test_company_that_never_knows_is_asked_seven_times(asked):
    send_receipt_by_sms()
    run_due_jobs()

    counts = []
    for _ in range(9):
        come_due()
        counts.append(services.query_due())
        run_due_jobs()

    assert sum(counts) == 7
    assert DeliveryAttempt.objects.get().next_query_at is None


def test_one_sweep_plans_a_question_once(asked):
    send_receipt_by_sms()
    run_due_jobs()
    come_due()

    assert services.query_due() + services.query_due() == 1
