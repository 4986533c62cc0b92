"""SIGKILL at every step of a bulk: nobody is lost, nobody is told twice.

A few hundred people in every test run, 10,000 in the fault run. A step that was in a call
when its worker died is unknown: a kind that repeats does so under the same id, which the
company recognises; a kind that holds leaves it to a receipt, and sends no second copy.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward
from ntc_notify import services
from ntc_notify.models import Message, Notification
from ntc_notify.services import BulkRecipient, BulkSummary
from ntc_notify.types import Recipient

from tests.pigeon import Pigeons, pigeons

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

KILLED = 137
#: Where a worker dies, and how many it passes there before.
POINTS = {"notify.chunk_claimed": 40, "notify.chunk_answered": 40, "notify.chunk_settled": 90}


def sized() -> Any:
    return pytest.mark.parametrize(
        ("people", "kills"),
        [
            pytest.param(300, 1, id="quick"),
            pytest.param(10_000, 12, id="full", marks=pytest.mark.faults),
        ],
    )


def store(kind: str, count: int) -> BulkSummary:
    """Store the bulk; the same in every process."""
    facts = {"text": "Mvua kubwa"} if kind == "alert" else {"title": "Bei mpya"}
    return services.send_bulk(
        kind=kind,
        batch="storm",
        channels=["sms"],
        recipients=(
            BulkRecipient(
                to=Recipient(phone_e164=f"+25571{number:07d}"), key=str(number), context=facts
            )
            for number in range(count)
        ),
    )


def run(company: Pigeons, what: str, *, batch_size: int = 1, failpoint: str = "") -> str:
    """Run a process to its end, or to its death; return what it said."""
    options = {**company.options, "batch_size": batch_size}
    environment = {"NTC_FAILPOINT": failpoint} if failpoint else {}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bulk_worker"),
            *(str(connection.settings_dict["NAME"]), json.dumps(options), what),
        ],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **environment},
        stdout=subprocess.PIPE,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == (KILLED if failpoint else 0), done.stdout
    return done.stdout


def leases_end() -> None:
    past = timezone.now()
    OutboxJob.objects.filter(state="running").update(lease_until=past)
    Message.objects.filter(state="sending").update(claimed_until=past)
    bring_forward(OutboxJob.objects.all())


@sized()
def test_killed_while_it_is_stored_goes_on_where_it_stopped(people, kills):
    """The run that follows says whom it skipped."""
    people = max(people, 2500)
    with pigeons(deduplicates=False) as company:
        run(company, f"store:news:{people}", failpoint="notify.bulk_step_stored:2")
        stored = Notification.objects.count()
        assert stored == 2000

        said = json.loads(run(company, f"store:news:{people}"))

        assert said == {"people": people - 2000, "skipped": {"already in this batch": 2000}}
        assert Message.objects.count() == people


@pytest.mark.parametrize("batch_size", [1, 50])
@pytest.mark.parametrize("kind", ["alert", "news"])
@sized()
def test_workers_killed_at_every_step(people, kills, kind, batch_size):
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed={seed}")  # noqa: T201 - shown by pytest when the test fails
    dice = random.Random(seed)  # noqa: S311 - chooses moments, guards nothing
    with pigeons(deduplicates=True) as company:
        store(kind, people)
        for point, most in POINTS.items():
            # Points before and after a call are passed once per call, the last once per message.
            calls = most if batch_size == 1 or point.endswith("settled") else 2
            for _ in range(kills):
                moment = dice.randint(1, calls)
                run(company, "deliver", batch_size=batch_size, failpoint=f"{point}:{moment}")
                leases_end()
        for _ in range(4):
            leases_end()
            run(company, "deliver", batch_size=batch_size)

        states = Counter(Message.objects.values_list("state", flat=True))
        assert sum(states.values()) == people, "nobody is lost"
        assert set(company.read.values()) == {1}, "nobody is told twice"
        assert set(states) <= {"accepted", "unknown"}
        accepted = Message.objects.filter(state="accepted").values_list("address", flat=True)
        assert set(accepted) <= set(company.read)
        if kind == "alert":
            assert states == {"accepted": people}
        else:
            # A person decides, or a receipt does, about what was in a call that died.
            assert 0 < states["unknown"] <= 3 * kills * max(batch_size, 1)
            assert len(company.read) >= people - states["unknown"]
