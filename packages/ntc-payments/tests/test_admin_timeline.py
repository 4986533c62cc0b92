"""One payment as a story that people read: all of it, in order, masked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_core.webhooks.models import WebhookEvent
from ntc_payments.admin.timeline import list_lines
from ntc_payments.models import Break, PaymentEvent, Payout, Refund, StatementLine
from ntc_payments.services.breaks import close_break, open_break
from ntc_payments.services.ledger import book
from ntc_payments.services.moves import write_event
from ntc_payments.types import Source

from tests.test_inbox import deliver, event_of, waiting

__all__ = ["deliver", "waiting"]  # fixtures

pytestmark = pytest.mark.django_db

PRICE = Money.from_major("15000", "TZS")


@pytest.fixture
def superuser():
    return make_user(username="+255754000111", is_staff=True, is_superuser=True)


@pytest.fixture
def staff(client, superuser):
    """Return Django's client, signed in as a superuser."""
    client.force_login(superuser)
    return client


def refunded_by_payout(payment, *, by, number=1):
    """Write what a refund that goes back as a payout leaves behind."""
    attempt = payment.attempts.get()
    call = {"provider": "simulator", "amount_minor": 100, "currency": "TZS"}
    payout = Payout.objects.create(
        **call,
        idempotency_key=f"p{number}",
        method="mobile_wallet",
        phone_e164="+255712345678",
        purpose="refund",
        description="refund",
        created_by=by,
    )
    refund = Refund.objects.create(
        **call,
        payment=payment,
        attempt=attempt,
        route="payout",
        payout=payout,
        requested_by=by,
        idempotency_key=f"r{number}",
        reason="Called from 0712345678: wrong plan",
    )
    moved = {"source": Source.SYSTEM.value, "applied": True}
    write_event(kind="payout", payout=payout, from_status="", to_status="created", **moved)
    write_event(
        kind="refund", payment=payment, refund=refund, from_status="", to_status="created", **moved
    )
    for row in (refund, payout):
        book(
            kind=f"{row._meta.model_name}_done",
            source=row,
            debit="sales",
            credit="provider:simulator",
            money=Money(100, "TZS"),
        )
    StatementLine.objects.create(
        provider="simulator",
        line_key=f"line-{number}",
        subject="payout",
        amount_minor=100,
        currency="TZS",
        booked_at=timezone.now(),
        payout=payout,
        description="to 255712345678",
    )
    return refund


def test_story_has_every_kind_of_line_in_order(staff, superuser, waiting, deliver, settings):
    """From the request to the company to the member of staff who closed the break."""
    settings.NTC_PAYMENT_TIMELINE_NOTES = "tests.timeline_notes.receipts"
    attempt = waiting.attempts.get()
    deliver(event_of(attempt))
    run_due_jobs()
    refund = refunded_by_payout(waiting, by=superuser)
    opened = open_break(
        kind=Break.Kind.REFUND_FAILED,
        dedupe_key="1",
        provider="simulator",
        detail="It came back from 255712345678.",
        refund=refund,
    )
    close_break(break_uid=opened.uid, by=superuser, resolution="Paid to 0712345678 by hand.")
    staff.post(
        reverse("admin:ntc_webhooks_webhookevent_changelist"),
        {"action": "replay", "_selected_action": [WebhookEvent.objects.get().pk]},
    )

    lines = list_lines(waiting)

    assert [line.at for line in lines] == sorted(line.at for line in lines)
    kinds = list(dict.fromkeys(line.kind for line in lines))
    assert kinds == [
        *("payment", "attempt", "request", "observation", "webhook", "ledger"),
        *("payout", "refund", "statement", "break", "staff", "message"),
    ]
    texts = [line.text for line in lines]
    order = [
        next(number for number, text in enumerate(texts) if words in text)
        for words in (
            "attempt: created → sending",
            "start: POST 127.0.0.1/v1/collections → 201",
            "observation: accepted, sending → pending",
            "simulator collection.paid: ",
            "observation: success, pending → succeeded (webhook)",
            "capture: debit provider:simulator",
            "refund of",
            "opened: The money could not be given back",
            "closed: The money could not be given back",
            "webhook: Replayed.",
            "Receipt by SMS",
        )
    ]
    assert order == sorted(order)


def test_page_shows_the_story_masked(staff, waiting, deliver, settings):
    """No number, no secret, neither of the payer nor of a colleague."""
    colleague = make_user(username="+255754000222", is_staff=True)
    api_key = settings.NTC_PAYMENT_PROVIDERS["simulator"]["api_key"]
    settings.NTC_PAYMENT_TIMELINE_NOTES = "tests.timeline_notes.receipts"
    waiting.metadata = {"token": "opens-everything", "note": "call 0712345678"}
    waiting.return_url = "https://shop.example/done?key=opens-everything"
    waiting.save()
    deliver(event_of(waiting.attempts.get()))
    run_due_jobs()
    refund = refunded_by_payout(waiting, by=colleague)
    opened = open_break(
        kind=Break.Kind.REVERSED, dedupe_key="1", provider="simulator", detail="?", payment=waiting
    )
    close_break(break_uid=opened.uid, by=colleague, resolution="Paid to 0712345678 by hand.")

    page = staff.get(
        reverse("admin:ntc_payments_payment_change", args=[waiting.pk])
    ).content.decode()

    assert 'id="timeline"' in page
    for hidden in ("712345678", "754000222", "opens-everything", api_key):
        assert hidden not in page
    assert "Paid to +2557****678 by hand." in page
    assert "+2557****222" in page
    webhook = WebhookEvent.objects.get()
    for name, row in (
        ("ntc_webhooks_webhookevent", webhook),
        ("ntc_payments_refund", refund),
        ("ntc_payments_payout", refund.payout),
        ("ntc_payments_break", opened),
    ):
        assert reverse(f"admin:{name}_change", args=[row.pk]) in page


def test_line_names_the_webhook_that_told_it(waiting, deliver):
    """Each event its own lines; what a poll says names none."""
    deliver(event_of(waiting.attempts.get()))
    run_due_jobs()

    told = PaymentEvent.objects.filter(webhook_uid=WebhookEvent.objects.get().uid)
    assert {event.source for event in told} == {"webhook"}
    others = PaymentEvent.objects.filter(webhook_uid=None)
    assert "webhook" not in {event.source for event in others}


def test_queries_do_not_grow_with_the_story(
    staff, superuser, waiting, deliver, django_assert_num_queries
):
    """Six for the page and its person, the rest for the story, however long it is."""
    url = reverse("admin:ntc_payments_payment_change", args=[waiting.pk])
    attempt = waiting.attempts.get()
    deliver(event_of(attempt))
    run_due_jobs()

    def live(number):
        refund = refunded_by_payout(waiting, by=make_user(), number=number)
        opened = open_break(
            kind=Break.Kind.REVERSED,
            dedupe_key=str(number),
            provider="simulator",
            detail="?",
            payment=waiting,
            refund=refund,
        )
        close_break(break_uid=opened.uid, by=make_user(), resolution="So.")
        deliver(event_of(attempt))
        run_due_jobs()

    live(1)
    staff.get(url)  # fills the caches of content types and permissions
    with django_assert_num_queries(16):
        staff.get(url)
    for number in range(2, 6):
        live(number)
    with django_assert_num_queries(16):
        staff.get(url)


def test_project_that_breaks_does_not_hide_the_rest(waiting, settings):
    settings.NTC_PAYMENT_TIMELINE_NOTES = "tests.timeline_notes.broken"

    lines = list_lines(waiting)

    assert any("could not be read" in line.text for line in lines)
    assert "request" in {line.kind for line in lines}


def test_who_may_not_read_the_history_sees_the_payment_only(client, waiting):
    staff = make_user(is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_payment"))
    client.force_login(staff)
    url = reverse("admin:ntc_payments_payment_change", args=[waiting.pk])

    assert 'id="timeline"' not in client.get(url).content.decode()

    staff.user_permissions.add(Permission.objects.get(codename="view_paymentevent"))
    assert 'id="timeline"' in client.get(url).content.decode()


def test_observation_that_was_not_applied_says_so(waiting, deliver):
    attempt = waiting.attempts.get()
    deliver(event_of(attempt))
    deliver(event_of(attempt))
    run_due_jobs()

    texts = [line.text for line in list_lines(waiting)]

    assert "observation: success, succeeded → succeeded (webhook) (not applied)" in texts


def test_other_payments_stay_out_of_the_story(waiting, start):
    other = start()
    run_due_jobs()
    late = timezone.now() + timedelta(days=1)

    references = " ".join(f"{line.text} {line.detail}" for line in list_lines(other))

    assert waiting.attempts.get().reference not in references
    assert all(line.at < late for line in list_lines(other))
