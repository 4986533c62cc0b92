"""C1 and C2 of the fault matrix: clocks that are wrong, and moments at which calendars change."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone
from ntc_core.money import Money
from ntc_core.outbox.services import run_due_jobs
from ntc_payments import services
from ntc_payments.models import Payment, PaymentAttempt
from ntc_payments.services.closing import close_day

from tests.faults.conftest import repeated
from tests.faults.invariants import require_invariants
from tests.faults.scene import (
    deliver,
    finish,
    kill_worker,
    leases_end,
    serving,
    settle_down,
    worker,
)
from tests.faults.test_matrix import require_all, signed
from tests.test_inbox import URL, event_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

DAR_ES_SALAAM = ZoneInfo("Africa/Dar_es_Salaam")
AHEAD, BEHIND = "600", "-600"
PRICE = Money.from_major("15000", "TZS")


@pytest.mark.parametrize("clocks", [(BEHIND, AHEAD), (AHEAD, BEHIND)])
@repeated(1, 20)
def test_c1_workers_with_different_clocks(scene, buy, settings, repeats, clocks):
    """Ten minutes ahead and ten behind: leases, windows and ends go by the database's clock."""
    first, second = clocks
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": {**scene.options, "total_timeout_seconds": 5}}
    for _ in range(repeats):
        killed = buy().attempts.get()
        kill_worker(
            settings,
            NTC_FAILPOINT="payments.sending_committed",
            WORKER_CLOCK_IS_WRONG_BY=first,
        )
        sent = buy().attempts.get()
        finish(worker(settings, WORKER_CLOCK_IS_WRONG_BY=first))

        # The other one looks at once, thinking that twenty minutes have gone.
        finish(worker(settings, WORKER_SWEEPS="1", WORKER_CLOCK_IS_WRONG_BY=second))
        killed.refresh_from_db()
        assert killed.status == "sending", "its lease has not run out"

        # Not found, as often as it likes: the company had no time to show it yet.
        leases_end()
        for _ in range(4):
            PaymentAttempt.objects.filter(pk=killed.pk, next_poll_at__isnull=False).update(
                next_poll_at=timezone.now() - timedelta(hours=1), last_polled_at=None
            )
            finish(worker(settings, WORKER_SWEEPS="1", WORKER_CLOCK_IS_WRONG_BY=second))
        killed.refresh_from_db()
        assert (killed.status, killed.not_found_count) == ("unknown", 4)
        both = Payment.objects.filter(pk__in=[killed.payment_id, sent.payment_id])
        assert set(both.values_list("status", flat=True)) == {"processing"}

        # A webhook of the right time is refused by a web server of a wrong one, and told again.
        scene.approve(reference=sent.reference)
        sent.refresh_from_db()
        body, headers = signed(scene, event_of(sent))
        with serving(settings, WORKER_CLOCK_IS_WRONG_BY=first) as site:
            assert deliver(site + URL, body, headers) == 401
        with serving(settings) as site:
            assert deliver(site + URL, body, headers) == 200
        finish(worker(settings, WORKER_CLOCK_IS_WRONG_BY=second))
        sent.refresh_from_db()
        assert sent.status == "succeeded"
        # Now it has had its time, and is over.
        PaymentAttempt.objects.filter(pk=killed.pk).update(
            sent_at=timezone.now() - timedelta(minutes=2)
        )
        settle_down(rounds=2)

    require_all(scene)
    assert Payment.objects.filter(status="succeeded").count() == repeats
    assert Payment.objects.filter(status="failed").count() == repeats


#: Where a calendar changes: leap days, years, and the clocks of Berlin and New York.
MOMENTS = [
    "2028-02-29T00:00",
    "2028-03-01T00:00",
    "2027-01-01T00:00",
    "2027-03-01T00:00",
    "2027-03-28T00:00",
    "2027-03-28T04:00",
    "2027-10-31T00:00",
    "2027-10-31T04:00",
    "2027-11-07T00:00",
    "2027-03-14T10:00",
]


@contextmanager
def living_in(zone: str) -> Iterator[None]:
    """Let the process think that the machine stands there."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_c2_calendar_changes(scene, buy, zone):
    """A second before belongs to the day before, wherever the machine thinks it stands."""
    due: Counter[date] = Counter()
    second = timedelta(seconds=1)
    with living_in(zone):
        for moment in MOMENTS:
            at = datetime.fromisoformat(moment).replace(tzinfo=DAR_ES_SALAAM)
            for when in (at - second, at):
                attempt = buy().attempts.get()
                run_due_jobs()
                scene.approve(reference=attempt.reference)
                with time_machine.travel(when, tick=False):
                    services.poll_attempt(attempt_id=attempt.pk)
                due[when.date()] += PRICE.minor
        received = {day: [each.received for each in close_day(day=day).companies] for day in due}

    assert received == {day: [Money(minor, "TZS")] for day, minor in due.items()}
    require_invariants(company="simulator", books=scene.books()["simulator"])


def test_c2_end_at_midnight_of_dar_es_salaam(scene, buy):
    """It ends at 21:00 UTC, not at midnight of the machine's zone."""
    midnight = timezone.now().astimezone(DAR_ES_SALAAM).replace(hour=0, minute=0, second=0)
    over, open_ = buy(), buy()
    Payment.objects.filter(pk=over.pk).update(expires_at=midnight)
    Payment.objects.filter(pk=open_.pk).update(expires_at=midnight + timedelta(days=1))
    with living_in("Pacific/Kiritimati"):
        for _ in range(2):
            services.poll_due()

    over.refresh_from_db()
    open_.refresh_from_db()
    assert (over.status, open_.status) == ("expired", "open")
