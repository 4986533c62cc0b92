"""The constraints: what a future bug runs into. Each one is seen to refuse."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from django.utils import timezone
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent, new_reference

pytestmark = pytest.mark.django_db


def copy_of(attempt: PaymentAttempt, **changes: Any) -> PaymentAttempt:
    """Return an unsaved attempt of the same payment."""
    names = ("payment", "provider", "method", "phone_e164", "amount_minor", "currency", "status")
    return PaymentAttempt(**{name: getattr(attempt, name) for name in names} | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": 0},
        {"amount_minor": -1},
        {"currency": "tzs"},
        {"currency": "TZ"},
        {"status": "paid"},
        {"status": "succeeded"},
        {"succeeded_at": timezone.now()},
    ],
)
def test_payment_that_cannot_be_is_refused_by_the_database(start, changes):
    """Not by Python: also raw SQL cannot do it."""
    payment = start()

    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(**changes)


@pytest.mark.parametrize(
    "changes", [{"amount_minor": 0}, {"status": "lost"}, {"settles": True, "status": "failed"}]
)
def test_attempt_that_cannot_be_is_refused_by_the_database(start, changes):
    """The same for attempts."""
    attempt = start().attempts.get()

    with pytest.raises(IntegrityError), transaction.atomic():
        PaymentAttempt.objects.filter(pk=attempt.pk).update(**changes)


@pytest.mark.parametrize("status", ["created", "sending", "pending", "unknown"])
def test_second_live_attempt_is_refused_by_the_database(start, status):
    """One push prompt at a time; an ended attempt does not count."""
    attempt = start().attempts.get()

    with pytest.raises(IntegrityError), transaction.atomic():
        copy_of(attempt, status=status).save()
    copy_of(attempt, status="failed").save()


def test_second_settling_attempt_is_refused_by_the_database(start):
    """One attempt may settle a payment."""
    attempt = start().attempts.get()
    PaymentAttempt.objects.update(status="succeeded", settles=True)

    with pytest.raises(IntegrityError), transaction.atomic():
        copy_of(attempt, status="succeeded", settles=True).save()


def test_references_are_unique_per_provider(start):
    """Ours always, theirs where set."""
    first, second = start().attempts.get(), start().attempts.get()
    PaymentAttempt.objects.filter(pk=first.pk).update(provider_ref="T1")

    for changes in ({"reference": first.reference}, {"provider_ref": "T1"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            PaymentAttempt.objects.filter(pk=second.pk).update(**changes)
        PaymentAttempt.objects.filter(pk=second.pk).update(provider="other", **changes)
        PaymentAttempt.objects.filter(pk=second.pk).update(
            provider="simulator", reference=new_reference(), provider_ref=""
        )


def test_key_is_unique_per_payer(start):
    """The last line of defence of start_payment()."""
    payment = start()

    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.create(
            payer=payment.payer,
            idempotency_key=payment.idempotency_key,
            amount_minor=1,
            currency="TZS",
            expires_at=timezone.now(),
        )


def test_history_is_only_added_to(start):
    """Neither changed nor deleted, one by one or in bulk."""
    event = start().events.first()

    for forbidden in (
        event.save,
        event.delete,
        PaymentEvent.objects.all().delete,
        lambda: PaymentEvent.objects.update(applied=False),
    ):
        with pytest.raises(TypeError, match="append-only"):
            forbidden()


def test_payer_with_payments_cannot_be_deleted(start):
    """Money outlives accounts."""
    with pytest.raises(ProtectedError):
        start().payer.delete()


def test_rows_say_what_they_are(start):
    """In logs and the admin."""
    payment = start()
    attempt = payment.attempts.get()

    assert str(payment).startswith("TZS 15,000 open ")
    assert str(attempt) == f"simulator {attempt.reference}"
    assert str(payment.events.first()) == "payment: new → open (payer)"
    assert PaymentEvent.objects.first().money is None


def test_references_are_what_the_narrowest_company_takes():
    """20 characters, upper-case letters and digits, without look-alikes."""
    references = {new_reference() for _ in range(200)}

    assert len(references) == 200
    for reference in references:
        assert len(reference) == 20
        assert reference[0] == "P"
        assert set(reference) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def test_migrations_are_complete():
    """The models and the migrations agree."""
    call_command("makemigrations", "ntc_payments", check=True, dry_run=True)


@pytest.mark.postgres
def test_due_polls_are_found_by_an_index(start):
    """The sweep runs every five seconds for as long as the project lives."""
    start()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT * FROM ntc_payments_paymentattempt WHERE next_poll_at <= now()"
        )
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "ntc_attempt_poll_due" in plan
