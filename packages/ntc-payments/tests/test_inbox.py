"""Webhooks: through the real view, signed with the company's own code."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from django.test import Client
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_core.testing import assert_error
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import replay_event
from ntc_payments import services
from ntc_payments.models import Break, LedgerEntry, Payment, PaymentAttempt, PaymentEvent
from ntc_payments.services.inbox import REMATCH_DELAYS_SECONDS
from ntc_payments.simulator.companies.pretend import sign

from tests.books import balances, breaks

pytestmark = pytest.mark.django_db

URL = "/api/v1/webhooks/payments/simulator/"


@pytest.fixture
def waiting(start) -> Payment:
    """Return a payment whose prompt is on the phone."""
    payment = start()
    run_due_jobs()
    return payment


def event_of(attempt: PaymentAttempt, **changes: Any) -> dict[str, Any]:
    """Return what the company says when the payer approved."""
    data = {
        "reference": attempt.reference,
        "transaction_id": attempt.provider_ref or "SIM1",
        "amount": 15000,
        "currency": "TZS",
        "phone": "255712345678",
        "status": "PAID",
        **changes,
    }
    return {
        "id": str(uuid.uuid4()),
        "type": f"collection.{str(data['status']).lower()}",
        "created_at": time.time(),
        "data": data,
    }


@pytest.fixture
def deliver(simulator):
    """Return a function that posts an event as the company does."""

    def post(event: Any, *, seconds: float = 0, secret: str | None = None, **headers: str):
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        timestamp = str(int(time.time() + seconds))
        signed = sign(secret or simulator.options["webhook_secret"], timestamp=timestamp, body=body)
        return Client().post(
            URL,
            body,
            content_type="application/json",
            headers={
                "X-Simulator-Timestamp": timestamp,
                "X-Simulator-Signature": signed,
                **headers,
            },
        )

    return post


def test_repeated_delivery_is_answered_the_same_and_counts_once(waiting, deliver):
    """A company that did not hear us sends it again."""
    event = event_of(waiting.attempts.get())

    answers = [deliver(event), deliver(event)]
    run_due_jobs()
    answers.append(deliver(event))
    run_due_jobs()

    waiting.refresh_from_db()
    assert {answer.status_code for answer in answers} == {200}
    assert WebhookEvent.objects.get().state == "processed"
    assert waiting.status == "succeeded"
    assert PaymentEvent.objects.filter(source="webhook", kind="observation").count() == 1


def test_one_fact_under_many_event_ids_has_one_effect(waiting, deliver):
    """Eight events, one payment."""
    attempt = waiting.attempts.get()

    for _ in range(8):
        deliver(event_of(attempt))
    run_due_jobs()

    assert WebhookEvent.objects.filter(state="processed").count() == 8
    assert PaymentEvent.objects.filter(claim="success", applied=True).count() == 1
    assert OutboxJob.objects.filter(task="ntc_payments.announce").count() == 1


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"secret": "another company"}, {}),
        ({"seconds": 301 + 2}, {}),
        ({"seconds": -301}, {}),
        ({}, {"X-Simulator-Signature": "0" * 64}),
        ({}, {"X-Simulator-Signature": ""}),
        ({}, {"X-Simulator-Timestamp": "soon"}),
        ({}, {"X-Simulator-Timestamp": "9" * 30}),
    ],
)
def test_forged_or_stale_delivery_is_refused_and_not_stored(waiting, deliver, changes, headers):
    """401 in the envelope, no row, no body."""
    response = deliver(event_of(waiting.attempts.get()), **changes, **headers)
    run_due_jobs()

    assert_error(response, 401, code="signature_invalid")
    waiting.refresh_from_db()
    assert waiting.status == "processing"
    assert not WebhookEvent.objects.exists()


def test_altered_body_is_refused(waiting, deliver, simulator):
    """One byte is enough."""
    body = json.dumps(event_of(waiting.attempts.get())).encode()
    timestamp = str(int(time.time()))
    signed = sign(simulator.options["webhook_secret"], timestamp=timestamp, body=body)

    response = Client().post(
        URL,
        body.replace(b"15000", b"15001"),
        content_type="application/json",
        headers={"X-Simulator-Timestamp": timestamp, "X-Simulator-Signature": signed},
    )

    assert_error(response, 401)
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"not json",
        b'{"id": "1", "id": "2", "type": "collection.paid", "data": {}}',
        b'{"type": "collection.paid"}',
        b"[" * 100_000,
    ],
)
def test_signed_nonsense_is_refused_and_not_stored(deliver, body):
    """Proven, and still not what the company documents."""
    assert_error(deliver(body), 400)
    assert not WebhookEvent.objects.exists()


def test_delivery_to_a_company_we_do_not_have_is_not_found(deliver):
    """And says nothing else."""
    response = Client().post("/api/v1/webhooks/payments/piggy/", b"{}", "application/json")

    assert_error(response, 404)


def test_webhook_that_beats_our_commit_is_matched_later(waiting, deliver):
    """Unmatched at first, never lost."""
    attempt = waiting.attempts.get()
    reference = attempt.reference
    PaymentAttempt.objects.update(reference="PNOTCOMMITTED0000000")
    response = deliver(event_of(attempt, reference=reference))
    run_due_jobs()
    assert response.status_code == 200
    assert WebhookEvent.objects.get().state == "unmatched"

    PaymentAttempt.objects.update(reference=reference)
    bring_forward(OutboxJob.objects.all())
    run_due_jobs()

    waiting.refresh_from_db()
    assert WebhookEvent.objects.get().state == "processed"
    assert waiting.status == "succeeded"


def test_reference_that_is_never_ours_stays_unmatched_in_sight(waiting, deliver, caplog):
    """Looked for a day long, then left for a person, with an error line."""
    deliver(event_of(waiting.attempts.get(), reference="SOMEBODYELSES"))
    for _ in range(len(REMATCH_DELAYS_SECONDS) + 2):
        run_due_jobs()
        bring_forward(OutboxJob.objects.all())

    event = WebhookEvent.objects.get()
    assert (event.state, event.attempts) == ("unmatched", len(REMATCH_DELAYS_SECONDS) + 1)
    assert "payment.webhook_unmatched" in caplog.text


def test_unknown_type_is_ignored_and_unknown_status_is_pending(waiting, deliver):
    """A company adds words without telling."""
    attempt = waiting.attempts.get()
    deliver({**event_of(attempt), "type": "wallet.renamed"})
    deliver(event_of(attempt, status="PONDERING"))
    run_due_jobs()

    states = sorted(WebhookEvent.objects.values_list("state", flat=True))
    attempt.refresh_from_db()
    assert states == ["ignored", "processed"]
    assert attempt.status == "pending"


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "15000"},
        {"amount": True},
        {"currency": "XXX"},
        {"reference": 7},
        {"transaction_id": ""},
    ],
)
def test_signed_event_of_another_shape_is_failed_in_sight(waiting, deliver, changes, caplog):
    """Stored, because it was proven; failed, because nobody can read it."""
    deliver(event_of(waiting.attempts.get(), **changes))
    run_due_jobs()

    event = WebhookEvent.objects.get()
    assert event.state == "failed"
    assert "Simulator" in event.last_error
    waiting.refresh_from_db()
    assert waiting.status == "processing"


def test_event_without_data_is_failed_in_sight(waiting, deliver):
    """The same for the frame around it."""
    deliver({**event_of(waiting.attempts.get()), "data": None, "created_at": "now"})
    run_due_jobs()

    assert WebhookEvent.objects.get().state == "failed"


@pytest.mark.parametrize("created_at", ['"yesterday"', "1e400", "1" + 30 * "0"])
def test_company_clock_decides_nothing(waiting, deliver, created_at):
    """Nonsense is left out."""
    event = json.dumps({**event_of(waiting.attempts.get()), "created_at": "WHEN"})
    deliver(event.replace('"WHEN"', created_at).encode())
    run_due_jobs()

    waiting.refresh_from_db()
    assert waiting.status == "succeeded"
    assert PaymentEvent.objects.get(claim="success").occurred_at is None


def test_amount_that_differs_stays_unapplied(waiting, deliver, caplog):
    """Signed and well-formed, but not our price."""
    deliver(event_of(waiting.attempts.get(), amount=14999))
    run_due_jobs()

    waiting.refresh_from_db()
    assert waiting.status == "processing"
    assert PaymentEvent.objects.get(claim="success").reason == "amount_mismatch"
    assert "payment.observation_alarm" in caplog.text


def test_replaying_the_whole_inbox_changes_nothing(waiting, deliver):
    """Once in effect, also next year."""
    attempt = waiting.attempts.get()
    deliver(event_of(attempt))
    deliver(event_of(attempt, status="DECLINED"))
    run_due_jobs()
    waiting.refresh_from_db()
    version, announcements = (
        waiting.version,
        OutboxJob.objects.filter(task="ntc_payments.announce").count(),
    )

    for event in WebhookEvent.objects.all():
        replay_event(event)
    run_due_jobs()

    waiting.refresh_from_db()
    assert waiting.version == version
    assert waiting.status == "succeeded"
    assert OutboxJob.objects.filter(task="ntc_payments.announce").count() == announcements


def test_processed_event_is_not_processed_again(waiting, deliver):
    """A second job for the same row does nothing."""
    deliver(event_of(waiting.attempts.get()))
    run_due_jobs()
    lines = PaymentEvent.objects.count()

    services.process_webhook_event(event_id=WebhookEvent.objects.get().pk)

    assert PaymentEvent.objects.count() == lines


def test_hint_of_a_company_that_does_not_sign_only_asks(start, settings):
    """Two payments in one unproven message: both are asked about, neither moves."""
    settings.NTC_PAYMENT_PROVIDERS = {"hosted": {"class": "tests.companies.HostedProvider"}}
    payments = [start(method="hosted_checkout") for _ in range(2)]
    run_due_jobs()
    references = [payment.attempts.get().reference for payment in payments]

    Client().post(
        "/api/v1/webhooks/payments/hosted/", json.dumps(references[::-1]), "application/json"
    )
    run_due_jobs()

    assert PaymentEvent.objects.filter(reason="hint", applied=False).count() == 2
    assert set(PaymentAttempt.objects.values_list("status", flat=True)) == {"pending"}
    assert services.poll_due() == 2


@pytest.mark.parametrize("name", ["reference", "transaction_id"])
@pytest.mark.parametrize("value", ["a\x00b", "x" * 151, "\ud800"])
def test_signed_event_with_a_value_that_no_column_takes_fails_at_once(
    deliver, waiting, name, value
):
    """PostgreSQL cannot even look for a NUL: the job would break, be retried, and be parked."""
    attempt = waiting.attempts.get()

    assert deliver(event_of(attempt, **{name: value})).status_code == 200
    run_due_jobs()

    event = WebhookEvent.objects.get()
    assert (event.state, event.attempts) == ("failed", 1)
    job = OutboxJob.objects.get(task="ntc_payments.process_webhook_event")
    assert (job.state, job.attempts) == ("done", 1)
    attempt.refresh_from_db()
    assert attempt.status == "pending"


TOLD_URL = "/api/v1/webhooks/payments/told/"


@pytest.fixture
def told(start, settings):
    """Return a payment on a control number, and a function that tells facts about it."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {"class": "tests.companies.TellingProvider", "outcome": {"payer_code": "99001"}}
    }
    payment = start(method="control_number")
    run_due_jobs()

    def tell(*facts: dict[str, Any], url: str = TOLD_URL) -> WebhookEvent:
        values = {"claim": "success", "minor": payment.amount_minor, "ref": "T1"}
        body = json.dumps([{**values, **fact} for fact in facts])
        headers = {"X-Key": "right", "X-Id": str(uuid.uuid4())}
        response = Client().post(url, body, "application/json", headers=headers)
        assert (response.status_code, response.content) == (200, b'{"taken": true}')
        run_due_jobs()
        return WebhookEvent.objects.first()

    return payment, tell


def look_again_until_the_end() -> None:
    """Let the days of looking for the reference pass."""
    for _ in range(len(REMATCH_DELAYS_SECONDS) + 1):
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()


@pytest.mark.parametrize("name", ["reference", "payer_code", "provider_ref"])
def test_attempt_is_found_by_whatever_the_company_calls_it(told, name):
    """Our reference, the number that the payer typed, or only its own id."""
    payment, tell = told
    payment.attempts.update(provider_ref="T1")
    attempt = payment.attempts.get()
    reference = "" if name == "provider_ref" else getattr(attempt, name)

    event = tell({"reference": reference})

    payment.refresh_from_db()
    assert (event.state, payment.status) == ("processed", "succeeded")


def test_fact_that_names_nothing_is_unmatched(told):
    """Above all it is not taken for the first attempt that has no code either."""
    _, tell = told

    assert tell({"reference": "", "ref": ""}).state == "unmatched"


@pytest.mark.parametrize("subject", ["refund", "payout"])
def test_news_of_another_subject_is_never_applied_to_an_attempt(told, subject):
    """Even under an attempt's own reference."""
    payment, tell = told

    event = tell({"reference": payment.attempts.get().reference, "subject": subject})

    payment.refresh_from_db()
    assert (event.state, payment.status) == ("unmatched", "processing")


def test_money_whose_reference_stays_unknown_goes_to_suspense_once(told):
    """Told under three events, replayed: one booking, one break."""
    _, tell = told
    for _ in range(3):
        tell({"reference": "NOBODY"})
    assert balances() == {}

    look_again_until_the_end()
    for event in WebhookEvent.objects.all():
        replay_event(event)
    look_again_until_the_end()

    minor = Payment.objects.get().amount_minor
    assert balances() == {"provider:told": minor, "suspense": -minor}
    assert breaks() == [("unmatched", "open")]
    assert Break.objects.get().money.minor == minor


@pytest.mark.parametrize(
    "fact",
    [
        {"claim": "failure"},
        {"claim": "reversed"},
        {"trust": "hint"},
        {"minor": None},
        {"minor": 0},
        {"subject": "payout"},
    ],
)
def test_nothing_is_booked_for_what_is_no_proven_money(told, fact):
    """It stays unmatched in sight."""
    _, tell = told
    tell({"reference": "NOBODY", **fact})

    look_again_until_the_end()

    assert not LedgerEntry.objects.exists()
    assert WebhookEvent.objects.get().state == "unmatched"


def test_money_that_finds_its_attempt_leaves_suspense(told):
    """Somebody mended the reference and replayed the event."""
    payment, tell = told
    reference = payment.attempts.get().reference
    PaymentAttempt.objects.update(reference="PNOTCOMMITTED0000000")
    event = tell({"reference": reference})
    look_again_until_the_end()
    assert breaks() == [("unmatched", "open")]

    PaymentAttempt.objects.update(reference=reference)
    for _ in range(2):
        replay_event(event)
        run_due_jobs()

    minor = payment.amount_minor
    assert balances() == {"provider:told": minor, "sales": -minor}
    assert breaks() == [("unmatched", "closed")]


def test_replaying_everything_books_nothing_more(told):
    """A success, a second charge, another amount, a reversal, and somebody else's money."""
    payment, tell = told
    reference = payment.attempts.get().reference
    for fact in (
        {"minor": 5, "ref": "T5"},
        {},
        {"fee_minor": 7},
        {"ref": "T2"},
        {"claim": "failure"},
        {"claim": "reversed"},
        {"reference": "NOBODY", "ref": "T9"},
    ):
        tell({"reference": reference, **fact})
    look_again_until_the_end()
    run_due_jobs()

    def state() -> list[Any]:
        return [
            balances(),
            LedgerEntry.objects.count(),
            OutboxJob.objects.filter(task="ntc_payments.announce").count(),
            list(Payment.objects.values("status", "version")),
            list(PaymentAttempt.objects.values("status", "captured_minor", "fee_minor")),
            breaks(),
        ]

    before = state()
    for event in WebhookEvent.objects.order_by("?"):
        replay_event(event)
    look_again_until_the_end()

    assert state() == before
    assert WebhookEvent.objects.exclude(state__in=["processed", "unmatched"]).count() == 0
