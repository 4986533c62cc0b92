"""One call that moves money away from us: what a refund and a payout have in common.

The same states, the same table and the same clocks as an attempt. What differs is what
follows: here nobody else is waiting, so nothing ends by itself. A company that never says
what became of a call leaves a break for a person, and the call is never made twice.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db import transaction
from django.db.models import F, Model, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from ntc_core.failpoints import failpoint
from ntc_core.http import AnswerUnreadable, HttpFailure, NoAnswer, NotSent
from ntc_core.outbox import enqueue
from ntc_core.outbox.clock import database_now, seconds_from_now

from ntc_payments.conf import payments_settings, provider_registry
from ntc_payments.metrics import count_initiation, count_outcome
from ntc_payments.models import Break, CompanyExchange, PaymentEvent, Payout, Refund
from ntc_payments.providers.base import PaymentProvider
from ntc_payments.services.breaks import open_break, resolve_breaks
from ntc_payments.services.exchanges import recorded
from ntc_payments.services.moves import kept_message, write_event
from ntc_payments.services.once_more import once_more_if_lost
from ntc_payments.services.schedule import (
    UNDECIDED_AFTER_SECONDS,
    ask_soon_at,
    can_be_asked,
    next_poll_at,
    send_again_after_seconds,
)
from ntc_payments.transitions import DEAD_ATTEMPTS, LIVE_ATTEMPTS, Decision, Reason, decide
from ntc_payments.types import (
    AttemptStatus,
    Claim,
    FailureCode,
    Observation,
    Source,
    StartOutcome,
    StartResult,
    Subject,
)

__all__ = ["Call", "MoneyOut", "Move"]

log = logging.getLogger("ntc_payments")

#: Rows per sweep and kind: a sweep stays short, the next one is seconds away.
SWEEP_LIMIT = 200
#: A call that for so long never left is given up: nothing has moved, and somebody should know.
GIVE_UP_AFTER = timedelta(days=1)

_CLAIMS = {
    StartResult.ACCEPTED: Claim.ACCEPTED,
    StartResult.DONE: Claim.SUCCESS,
    StartResult.REFUSED: Claim.REJECTED,
    StartResult.TRY_LATER: Claim.NOT_SENT,
    StartResult.DUPLICATE: Claim.NO_ANSWER,
}

Call = TypeVar("Call", Refund, Payout)


@dataclass(frozen=True, kw_only=True)
class Move(Generic[Call]):
    """A row that has just moved, with everything it stands on locked."""

    row: Call
    before: AttemptStatus
    observation: Observation
    source: Source
    #: The member of staff who decided it, if one did.
    by: Any = None


class MoneyOut(ABC, Generic[Call]):
    """The machine of one kind of call. Its one instance is a constant of that kind's module."""

    subject: Subject
    model: type[Call]
    event_kind: PaymentEvent.Kind

    @property
    def rows(self) -> QuerySet[Call]:
        """All rows of this kind."""
        return self.model._default_manager.all()  # noqa: SLF001 - Django's documented name for it

    # What each kind says for itself.

    @abstractmethod
    def start(self, provider: PaymentProvider, row: Call) -> StartOutcome:
        """Make the call."""

    @abstractmethod
    def query(self, provider: PaymentProvider, row: Call) -> list[Observation]:
        """Ask what became of it."""

    @abstractmethod
    def lock(self, pk: int) -> Call:
        """Return the row, locked with what it stands on, in the order of all."""

    @abstractmethod
    def rows_of(self, row: Call) -> dict[str, Model | None]:
        """Return what its lines of history and its breaks point to."""

    @abstractmethod
    def follow(self, move: Move[Call]) -> None:
        """Do what follows a move, in its transaction: the books, the signals."""

    def watch_seconds(self, row: Call) -> int:
        """Return for how long after the call a success may still come back unsaid."""
        del row
        return 0

    # The road.

    def send_later(self, row: Call) -> None:
        """Have it sent once the running transaction commits."""
        enqueue(f"ntc_payments.send_{self.subject.value}", row.pk, dedupe_key=str(row.pk))

    def send(self, pk: int) -> float | None:
        """Claim the row, call the company once, apply what came of it; see `send_attempt()`.

        Returns:
            Seconds after which the same call may be made again, because it certainly did
            not reach the company; None: there is nothing more to send.
        """
        row = self.rows.get(pk=pk)
        provider = provider_registry.get(row.provider)
        if not self._claim(pk):
            return None
        failpoint(f"payments.{self.subject.value}_sending_committed")
        outcome = self._call(provider, row)
        count_initiation(subject=self.subject, provider=row.provider, outcome=outcome)
        failpoint(f"payments.{self.subject.value}_answer_received")
        return once_more_if_lost(lambda: self._record(pk, outcome))

    def poll(self, pk: int) -> None:
        """Ask the company what became of it, outside any transaction; apply the answer."""
        row = self.rows.get(pk=pk)
        unsent = {AttemptStatus.CREATED, AttemptStatus.SENDING}
        if row.status in unsent or not can_be_asked(row.provider):
            return
        asked_at = database_now()
        try:
            for observation in self._ask(row):
                self.apply(pk, observation, source=Source.POLL)
        finally:
            self.rows.filter(pk=pk).update(last_polled_at=asked_at)

    def apply(
        self, pk: int, observation: Observation, *, source: Source, by: Any = None
    ) -> Decision:
        """Record what a source says and, if the table allows it, move the row.

        Safe to call any number of times, in any order, from anywhere at once.
        """
        return once_more_if_lost(lambda: self._apply(pk, observation, source=source, by=by))

    def sweep(self) -> int:
        """Free dead calls, plan the queries that are due, report what stays undecided.

        Returns:
            How many rows were looked after.
        """
        now = database_now()
        return self._free_dead_calls(now) + self._plan_polls(now) + self._report_undecided(now)

    # How.

    def _claim(self, pk: int) -> bool:
        # durable: this commits now, or it raises because somebody has a transaction open.
        with transaction.atomic(durable=True):
            row = self.lock(pk)
            if row.status != AttemptStatus.CREATED:
                return False
            self._change(
                row,
                AttemptStatus.SENDING,
                sent_at=database_now(),
                lease_until=seconds_from_now(payments_settings.PAYMENT_SEND_LEASE_SECONDS),
                sends=F("sends") + 1,
            )
            self.write(
                row,
                source=Source.SYSTEM,
                applied=True,
                from_status=AttemptStatus.CREATED.value,
                to_status=AttemptStatus.SENDING.value,
            )
        return True

    def _call(self, provider: PaymentProvider, row: Call) -> StartOutcome | Claim:
        extra = {"provider": row.provider, "reference": row.reference}
        try:
            with recorded(row, purpose=CompanyExchange.Purpose.START):
                return self.start(provider, row)
        except NotSent as error:
            log.warning("payment.not_sent", extra={**extra, "error": type(error).__name__})
            return Claim.NOT_SENT
        except (NoAnswer, AnswerUnreadable) as error:
            log.warning("payment.no_answer", extra={**extra, "error": type(error).__name__})
        except Exception:
            # A mistake in the provider's code says nothing about what the company did.
            log.exception("payment.provider_broke", extra=extra)
        return Claim.NO_ANSWER

    @transaction.atomic
    def _record(self, pk: int, outcome: StartOutcome | Claim) -> float | None:
        row = self.lock(pk)
        answer = outcome if isinstance(outcome, StartOutcome) else None
        observation = self._observe(row, outcome)
        if observation.claim is Claim.NOT_SENT and timezone.now() - row.created_at > GIVE_UP_AFTER:
            observation = replace(
                observation,
                claim=Claim.REJECTED,
                failure_code=FailureCode.PROVIDER_UNREACHABLE,
            )
        decision = self._apply(pk, observation, source=Source.RESPONSE, by=None)
        if answer is not None and answer.result is StartResult.DUPLICATE:
            self._ask_now(row)
        if decision.move_to is not AttemptStatus.CREATED:
            return None
        told = answer.retry_after_seconds if answer else None
        return send_again_after_seconds(row.sends, told=told)

    def _observe(self, row: Call, outcome: StartOutcome | Claim) -> Observation:
        if isinstance(outcome, Claim):
            return Observation(reference=row.reference, subject=self.subject, claim=outcome)
        return Observation(
            reference=row.reference,
            subject=self.subject,
            claim=_CLAIMS[outcome.result],
            money=outcome.money,
            fee=outcome.fee,
            provider_ref=outcome.provider_ref,
            failure_code=outcome.failure_code,
            failure_message=outcome.failure_message,
        )

    def _ask(self, row: Call) -> list[Observation]:
        try:
            with recorded(row, purpose=CompanyExchange.Purpose.QUERY):
                return self.query(provider_registry.get(row.provider), row)
        except (HttpFailure, AnswerUnreadable) as error:
            log.warning(
                "payment.poll_failed",
                extra={
                    "provider": row.provider,
                    "reference": row.reference,
                    "error": type(error).__name__,
                },
            )
            return [self._observe(row, Claim.NO_ANSWER)]

    @transaction.atomic
    def _apply(self, pk: int, observation: Observation, *, source: Source, by: Any) -> Decision:
        row = self.lock(pk)
        decision = self._decide(row, observation, source)
        if observation.claim is Claim.REVERSED and decision.move_to is AttemptStatus.SUCCEEDED:
            # What went back had gone out: the success has its own line and its own effects.
            success = replace(observation, claim=Claim.SUCCESS)
            self._carry_out(row, success, decision, source=source, by=by)
            decision = self._decide(row, observation, source)
        self._carry_out(row, observation, decision, source=source, by=by)
        return decision

    def _decide(self, row: Call, observation: Observation, source: Source) -> Decision:
        known, told = row.provider_ref, observation.provider_ref
        others = self.rows.exclude(pk=row.pk)
        is_taken = bool(told) and known != told
        if is_taken:
            is_taken = others.filter(provider=row.provider, provider_ref=told).exists()
        return decide(
            current=AttemptStatus(row.status),
            claim=observation.claim,
            source=source,
            trust=observation.trust,
            # The amount is ours to say; few companies repeat it.
            money_matches=observation.money in {None, row.money},
            reference_matches=not known or not told or known == told,
            reference_is_free=not is_taken,
        )

    def _carry_out(
        self,
        row: Call,
        observation: Observation,
        decision: Decision,
        *,
        source: Source,
        by: Any,
    ) -> None:
        before = AttemptStatus(row.status)
        self.write(
            row,
            observation=observation,
            source=source,
            by=by,
            applied=decision.move_to is not None,
            reason=decision.reason.value,
            from_status=before.value,
            to_status=(decision.move_to or before).value,
        )
        if decision.move_to is None:
            self._stay(row, observation, decision, source=source)
            return
        self._move(row, decision.move_to, observation)
        move = Move(row=row, before=before, observation=observation, source=source, by=by)
        self.follow(move)
        if before in LIVE_ATTEMPTS and row.status not in LIVE_ATTEMPTS:
            resolve_breaks(f"It was answered: {row.status}.", dedupe_key=self.undecided_key(row))

    def _move(self, row: Call, to: AttemptStatus, observation: Observation) -> None:
        now = database_now()
        sent_at = None if to is AttemptStatus.CREATED else row.sent_at or now
        changes: dict[str, Any] = {"sent_at": sent_at, "lease_until": None, "next_poll_at": None}
        if sent_at and can_be_asked(row.provider):
            changes["next_poll_at"] = next_poll_at(
                to, sent_at=sent_at, now=now, watch_seconds=self.watch_seconds(row)
            )
        if observation.provider_ref:
            changes["provider_ref"] = observation.provider_ref
        fee = observation.fee
        if fee is not None and fee.currency == row.currency and row.fee_minor is None:
            changes["fee_minor"] = fee.minor
        if to in DEAD_ATTEMPTS:
            code = observation.failure_code or FailureCode.OTHER
            changes["failure_code"] = code.value
            changes["failure_message"] = kept_message(observation.failure_message)
        elif to is AttemptStatus.SUCCEEDED:
            changes |= {"failure_code": "", "failure_message": ""}
        self._change(row, to, **changes)

    def _change(self, row: Call, to: AttemptStatus, **changes: Any) -> None:
        changes |= {"status": to.value, "updated_at": timezone.now()}
        # The lock makes the status certain; the condition is the second belt.
        moved = self.rows.filter(pk=row.pk, status=row.status).update(
            version=F("version") + 1, **changes
        )
        if not moved:
            raise RuntimeError(f"{self.subject} {row.reference} moved although it is locked.")
        log.info(
            "payment.money_out_moved",
            extra={
                "subject": self.subject.value,
                "provider": row.provider,
                "reference": row.reference,
                "from": str(row.status),
                "to": to.value,
            },
        )
        count_outcome(subject=self.subject, provider=row.provider, status=to)
        row.refresh_from_db()

    def _stay(
        self, row: Call, observation: Observation, decision: Decision, *, source: Source
    ) -> None:
        kinds = {
            Reason.AMOUNT_MISMATCH: Break.Kind.INTEGRITY,
            Reason.REFERENCE_TAKEN: Break.Kind.INTEGRITY,
            Reason.REFERENCE_MISMATCH: Break.Kind.INTEGRITY,
            Reason.CONTRADICTION: Break.Kind.CONTRADICTION,
        }
        claim = observation.claim.value
        if decision.reason in kinds:
            said = f" {observation.money}" if observation.money else ""
            self.open_break(
                row,
                kinds[decision.reason],
                key=f"{decision.reason.value}:{claim}:{source.value}:{observation.provider_ref}",
                detail=f"It is {row.status}, {row.money}; {source.value} says {claim}{said}.",
            )
        changes: dict[str, Any] = {}
        if decision.reason is Reason.NO_CHANGE and observation.provider_ref:
            changes["provider_ref"] = row.provider_ref or observation.provider_ref
        if changes:
            self.rows.filter(pk=row.pk).update(**changes)
        if decision.ask and row.status != AttemptStatus.CREATED:
            self._ask_now(row)

    def _ask_now(self, row: Call) -> None:
        if can_be_asked(row.provider):
            self.rows.filter(pk=row.pk).update(next_poll_at=ask_soon_at(row, now=database_now()))

    # The sweep.

    def _free_dead_calls(self, now: datetime) -> int:
        """A call whose lease ran out is `unknown`: it may have reached the company."""
        del now  # leases are of the database's clock
        dead = self.rows.filter(status=AttemptStatus.SENDING, lease_until__lte=Now()).order_by(
            "pk"
        )[:SWEEP_LIMIT]
        count = 0
        for row in dead:
            self.apply(row.pk, self._observe(row, Claim.NO_ANSWER), source=Source.SYSTEM)
            self._ask_now(row)
            count += 1
        return count

    def _plan_polls(self, now: datetime) -> int:
        # A status that only newer code knows is left to newer code.
        due = self.rows.filter(status__in=list(AttemptStatus), next_poll_at__lte=now)
        count = 0
        for row in due.order_by("next_poll_at")[:SWEEP_LIMIT]:
            following = next_poll_at(
                AttemptStatus(row.status),
                sent_at=row.sent_at or row.created_at,
                now=now,
                watch_seconds=self.watch_seconds(row),
            )
            with transaction.atomic():
                planned = self.rows.filter(
                    pk=row.pk, next_poll_at=row.next_poll_at, polls=row.polls
                ).update(next_poll_at=following, polls=F("polls") + 1)
                if planned:
                    enqueue(
                        f"ntc_payments.poll_{self.subject.value}",
                        row.pk,
                        dedupe_key=f"{row.pk}:{row.polls + 1}",
                    )
            count += planned
        return count

    def _report_undecided(self, now: datetime) -> int:
        """Leave to a person what no query will decide any more. A late answer closes it."""
        silent = self.rows.filter(
            status__in=[AttemptStatus.PENDING, AttemptStatus.UNKNOWN],
            sent_at__lte=now - timedelta(seconds=UNDECIDED_AFTER_SECONDS),
        ).exclude(breaks__kind=Break.Kind.UNDECIDED)
        count = 0
        for found in silent.order_by("pk")[:SWEEP_LIMIT]:
            with transaction.atomic():
                row = self.lock(found.pk)
                if row.status not in LIVE_ATTEMPTS:
                    continue
                open_break(
                    kind=Break.Kind.UNDECIDED,
                    dedupe_key=self.undecided_key(row),
                    provider=row.provider,
                    detail=f"Still {row.status} after the last query. See the company's dashboard.",
                    money=row.money,
                    **self.rows_of(row),
                )
            count += 1
        return count

    # What others use too.

    def undecided_key(self, row: Call) -> str:
        """Return the name of the break about a row that nobody decided."""
        return f"undecided:{self.subject.value}:{row.pk}"

    def log_resolved(self, row: Call, *, outcome: str, by: Any) -> None:
        """Note who of the staff decided what a company did not tell."""
        log.info(
            "payment.resolved_by_staff",
            extra={
                "subject": self.subject.value,
                "provider": row.provider,
                "reference": row.reference,
                "outcome": outcome,
                "by": str(by.pk),
            },
        )

    def open_break(self, row: Call, kind: Break.Kind, *, key: str, detail: str) -> None:
        """Open a break about the row, once per key."""
        open_break(
            kind=kind,
            dedupe_key=f"{kind.value}:{self.subject.value}:{row.pk}:{key}"[:255],
            provider=row.provider,
            detail=detail,
            money=row.money,
            **self.rows_of(row),
        )

    def write(
        self,
        row: Call,
        *,
        source: Source,
        applied: bool,
        from_status: str,
        to_status: str,
        observation: Observation | None = None,
        reason: str = "",
        by: Any = None,
    ) -> None:
        """Add a line to the history."""
        told: dict[str, Any] = {}
        if observation is not None:
            money, code = observation.money, observation.failure_code
            told = {
                "claim": observation.claim.value,
                "amount_minor": money.minor if money else None,
                "currency": money.currency if money else "",
                "provider_ref": observation.provider_ref,
                "failure_code": code.value if code else "",
                "failure_message": kept_message(observation.failure_message),
                "occurred_at": observation.occurred_at,
            }
        write_event(
            kind=self.event_kind,
            source=source.value,
            actor=by,
            applied=applied,
            reason=reason,
            from_status=from_status,
            to_status=to_status,
            **told,
            **self.rows_of(row),
        )
