"""The numbers of payments; see `ntc_core.metrics` and docs/guides/observing.md.

Counts are told when what they count has committed, gauges by the recurring job.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from django.db.models import Count, Min
from django.utils import timezone
from ntc_core.http import TracedCall
from ntc_core.metrics import collector, count, count_after_commit, gauge, observe

from ntc_payments.conf import provider_registry
from ntc_payments.models import Break, PaymentAttempt, Payout, Refund
from ntc_payments.types import AttemptStatus, Claim, StartOutcome, Subject

__all__ = ["count_initiation", "count_outcome", "observe_exchange", "tell_open"]

#: Of each call that moves money, what it is to us.
_SUBJECTS = {
    Subject.PAYMENT: PaymentAttempt,
    Subject.REFUND: Refund,
    Subject.PAYOUT: Payout,
}
_UNSENT = frozenset({AttemptStatus.CREATED, AttemptStatus.SENDING})


def count_initiation(*, subject: Subject, provider: str, outcome: StartOutcome | Claim) -> None:
    """Count a call that asks a company to move money, by what came back."""
    result = outcome.result if isinstance(outcome, StartOutcome) else outcome
    count("ntc_payment_initiations", subject=subject.value, provider=provider, result=result.value)


def count_outcome(*, subject: Subject, provider: str, status: AttemptStatus) -> None:
    """Count what a call has become, once the running transaction commits."""
    if status not in _UNSENT:
        count_after_commit(
            "ntc_payment_outcomes", subject=subject.value, provider=provider, status=status.value
        )


def observe_exchange(*, provider: str, purpose: str, call: TracedCall) -> None:
    """Tell how long a company took, by how that ended: `2xx`, or the name of the exception."""
    result = call.error or (f"{call.status // 100}xx" if call.status else "")
    observe(
        "ntc_payment_exchange_seconds",
        call.seconds,
        provider=provider,
        purpose=purpose,
        result=result,
    )


@collector
def tell_open() -> None:
    """Tell what waits for a company or for a person."""
    now = timezone.now()
    for subject, model in _SUBJECTS.items():
        unknown = model._default_manager.filter(status=AttemptStatus.UNKNOWN)  # noqa: SLF001 - Django's documented name
        since: dict[str, datetime] = dict(
            unknown.order_by().values_list("provider").annotate(Min("sent_at"))
        )
        for provider in {*provider_registry.names(), *since}:
            oldest = since.get(provider)
            gauge(
                "ntc_payment_oldest_unknown_seconds",
                (now - oldest).total_seconds() if oldest else 0,
                subject=subject.value,
                provider=provider,
            )
    opened = Break.objects.filter(state=Break.State.OPEN).order_by()
    kinds = Counter(dict(opened.values_list("kind").annotate(Count("pk"))))
    for kind in Break.Kind:
        gauge("ntc_payment_open_breaks", kinds[kind.value], kind=kind.value)
