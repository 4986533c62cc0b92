"""What must hold after every fault, once everything has come to rest.

The numbers are those of the invariants in docs/guides/faults.md.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Count, Sum
from ntc_core.outbox.models import OutboxJob
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import replay_event
from ntc_payments.models import (
    Break,
    LedgerEntry,
    Payment,
    PaymentAttempt,
    Payout,
    Refund,
)

from tests.faults.scene import settle_down
from tests.test_observing import require_lawful_history

__all__ = ["require_invariants"]


def require_invariants(*, company: str, books: dict[str, Any]) -> None:
    """Check all of them against the company's own books.

    Args:
        books: what `RunningSimulator.books()` says of this company.
    """
    _balanced()
    _paid_once()
    _nothing_lost_or_invented(company, books["money"].get("TZS", {}))
    _undecided_have_a_break()
    _one_prompt(books["prompts"])
    _inbox_has_ended()
    _jobs_are_done()
    _refunds_within_captured(books["money"].get("TZS", {}))
    for payment in Payment.objects.all():
        require_lawful_history(payment)
    _replay_changes_nothing()


def _balanced() -> None:
    """I1."""
    sums = LedgerEntry.objects.values("transaction", "currency").annotate(sum=Sum("amount_minor"))
    assert not [row for row in sums if row["sum"]]


def _paid_once() -> None:
    """I2."""
    told = OutboxJob.objects.filter(task="ntc_payments.announce")
    succeeded = Counter(job.arguments[1] for job in told if job.arguments[0] == "payment_succeeded")
    assert set(succeeded.values()) <= {1}
    assert set(succeeded) == set(
        Payment.objects.filter(status="succeeded").values_list("pk", flat=True)
    )
    settling = PaymentAttempt.objects.filter(settles=True).values("payment")
    assert not settling.annotate(count=Count("pk")).filter(count__gt=1)


def _nothing_lost_or_invented(company: str, money: dict[str, int]) -> None:
    """I3: what the company took, gave and paid is what our books say of it."""
    entries = LedgerEntry.objects.filter(account=f"provider:{company}", currency="TZS")
    ours = entries.aggregate(sum=Sum("amount_minor", default=0))["sum"]
    theirs = money.get("captured", 0) - sum(
        money.get(name, 0) for name in ("refunded", "paid_out", "fees")
    )
    assert ours == theirs


def _undecided_have_a_break() -> None:
    """I4: nothing hangs in a call that has died."""
    assert not PaymentAttempt.objects.filter(status="sending").exists()
    for attempt in PaymentAttempt.objects.filter(status__in=["pending", "unknown"]):
        watched = attempt.next_poll_at is not None
        assert watched or Break.objects.filter(attempt=attempt, state="open").exists()


def _one_prompt(prompts: dict[str, int]) -> None:
    """I5: never a second prompt under one reference, never two live ones of one payment."""
    assert set(prompts.values()) <= {1}
    live = PaymentAttempt.objects.filter(status__in=["created", "sending", "pending", "unknown"])
    assert not live.values("payment").annotate(count=Count("pk")).filter(count__gt=1)


def _inbox_has_ended() -> None:
    """I6."""
    ended = ["processed", "ignored", "parked", "unmatched"]
    assert not WebhookEvent.objects.exclude(state__in=ended).exists()


def _jobs_are_done() -> None:
    """I7: done, or waiting for a moment that has not come."""
    assert not OutboxJob.objects.exclude(state__in=["done", "queued"]).exists()


def _refunds_within_captured(money: dict[str, int]) -> None:
    """I8."""
    for attempt in PaymentAttempt.objects.all():
        assert 0 <= attempt.refunded_minor <= attempt.refund_reserved_minor
        assert attempt.refund_reserved_minor <= attempt.captured_minor
    done = Refund.objects.filter(status="succeeded", route="provider")
    assert done.aggregate(sum=Sum("amount_minor", default=0))["sum"] == money.get("refunded", 0)


def _replay_changes_nothing() -> None:
    """I12."""
    before = _state()
    for event in WebhookEvent.objects.order_by("?"):
        replay_event(event)
    settle_down()
    assert _state() == before


def _state() -> list[Any]:
    """What money, payers and the project would notice."""
    return [
        sorted(Payment.objects.values_list("pk", "status")),
        sorted(PaymentAttempt.objects.values_list("pk", "status", "captured_minor", "settles")),
        sorted(Refund.objects.values_list("pk", "status")),
        sorted(Payout.objects.values_list("pk", "status")),
        LedgerEntry.objects.count(),
        OutboxJob.objects.filter(task__startswith="ntc_payments.announce").count(),
        Break.objects.count(),
    ]
