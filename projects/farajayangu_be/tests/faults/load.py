"""Many people who each buy a plan, at once, and do not give up when a call fails."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg2

from tests.processes import run, wait_until
from tests.stack import Stack

__all__ = ["Load", "make_people", "require_discreet_logs", "require_invariants"]

_MAKE_PEOPLE = """
import sys
from django.contrib.auth import get_user_model
from ntc_core.auth.services import sign_in
for number in range({first}, {last}):
    user = get_user_model().objects.create_user(phone=f"+2557130{{number:05d}}", password=None)
    sys.stdout.write("token " + sign_in(user=user).access + "\\n")
"""


def make_people(stack: Stack, *, first: int, count: int) -> list[str]:
    """Sign people up and in, without their phones; return their access tokens."""
    program = _MAKE_PEOPLE.format(first=first, last=first + count)
    command = ["manage.py", "shell", "--no-imports", "-c", program]
    with run("people", command, env=stack.env, folder=stack.folder) as making:
        assert making.process.wait(300) == 0, making.output
    lines = [line.split() for line in making.output.splitlines()]
    tokens = [words[1] for words in lines if len(words) == 2 and words[0] == "token"]
    assert len(tokens) == count, making.output
    return tokens


class Load:
    """The purchases of these people: started over HTTP, approved on the phone as they come."""

    def __init__(self, stack: Stack, tokens: list[str], *, name: str) -> None:
        self.stack = stack
        self.tokens = tokens
        self.name = name
        #: What the clients saw: status codes, and "none" where nobody answered.
        self.answers: Counter[str] = Counter()
        self.payments: list[str] = []
        self._futures: list[Future[str]] = []
        self._over = threading.Event()

    @contextmanager
    def going_on(self, *, clients: int = 8) -> Iterator[None]:
        """Let everybody buy while the block runs; it ends once each has a payment."""
        phone = threading.Thread(target=self._answer_prompts)
        phone.start()
        try:
            with ThreadPoolExecutor(clients) as pool:
                self._futures = [
                    pool.submit(self.buy, number, token) for number, token in enumerate(self.tokens)
                ]
                yield
            self.wait_until_settled()
        finally:
            self._over.set()
            phone.join()

    def wait_until_begun(self) -> None:
        """Wait until a few have bought, and most have not."""
        wait_until(lambda: self.answers["201"] >= len(self.tokens) // 6, what="the first sales")

    def wait_until_bought(self) -> None:
        """Wait until everybody has a payment, whatever becomes of it."""
        self.payments = [future.result() for future in self._futures]

    def wait_until_settled(self) -> None:
        """Wait until every payment has succeeded. Nobody brings anything forward."""
        self.wait_until_bought()
        self._settle()

    def buy(self, number: int, token: str) -> str:
        """Buy once: the same key again, until there is an answer."""
        headers = {
            "Authorization": f"Bearer {token}",
            "Idempotency-Key": f"{self.name}-{number}",
        }
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            try:
                answer = httpx.post(
                    f"{self.stack.base_url}/api/v1/subscriptions/",
                    json={"plan": self.plan, "method": "mobile_push"},
                    headers=headers,
                    timeout=30,
                )
            except httpx.HTTPError:
                self.answers["none"] += 1
            else:
                self.answers[str(answer.status_code)] += 1
                if answer.status_code == 201:
                    return str(answer.json()["data"]["payment"]["uid"])
                assert answer.status_code in {500, 502, 503, 429}, answer.text
            time.sleep(0.2)
        raise AssertionError(f"Nobody sold anything to {self.name}-{number}: {self.answers}")

    @property
    def plan(self) -> str:
        """The first plan."""
        if not hasattr(self, "_plan"):
            answer = httpx.get(f"{self.stack.base_url}/api/v1/plans/", timeout=30)
            self._plan = answer.json()["data"]["results"][0]["uid"]
        return str(self._plan)

    def _answer_prompts(self) -> None:
        """Enter the PIN wherever a prompt appears."""
        company = f"http://127.0.0.1:{self.stack.simulator_port}"
        with httpx.Client(timeout=30) as client:
            while not self._over.wait(0.2):
                for prompt in client.get(f"{company}/phone/prompts").json():
                    client.post(f"{company}/phone/prompts/{prompt['uid']}/approve")

    def _settle(self) -> None:
        def all_settled() -> bool:
            try:
                rows = self.stack.query(
                    "SELECT count(*) FROM ntc_payments_payment WHERE uid::text = ANY(%s)"
                    " AND status = 'succeeded'",
                    self.payments,
                )
            except psycopg2.Error:
                return False
            return bool(rows[0][0] == len(self.payments))

        wait_until(all_settled, what=f"the payments of {self.name}", timeout_seconds=300)
        wait_until(self._jobs_are_done, what="the jobs after them", timeout_seconds=120)

    def _jobs_are_done(self) -> bool:
        waiting = self.stack.query(
            "SELECT count(*) FROM ntc_outbox_outboxjob WHERE state IN ('queued', 'running')"
            " AND run_at <= now() AND dedupe_key NOT LIKE 'slot:%%'"
        )
        return bool(waiting[0][0] == 0)


def require_invariants(stack: Stack, load: Load) -> None:
    """Ask our tables and the company's own books; the numbers are those of the guide."""
    count = len(load.tokens)
    assert len(set(load.payments)) == count, "one payment per purchase"
    assert not stack.query(
        "SELECT transaction_id FROM ntc_payments_ledgerentry"
        " GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0"
    ), "I1"
    assert not stack.query(
        "SELECT arguments FROM ntc_outbox_outboxjob WHERE task = 'ntc_payments.announce'"
        " AND arguments->>0 = 'payment_succeeded' GROUP BY arguments->>1, arguments"
        " HAVING count(*) > 1"
    ), "I2"
    periods = stack.query(
        "SELECT count(*), count(DISTINCT payment_uid) FROM subscriptions_subscriptionperiod"
        " WHERE payment_uid::text = ANY(%s)",
        load.payments,
    )
    assert periods == [(count, count)], "one effect per payment"
    require_discreet_logs(stack)
    books: Any = httpx.get(f"http://127.0.0.1:{stack.simulator_port}/books", timeout=30).json()[
        "simulator"
    ]
    ours = stack.query(
        "SELECT coalesce(sum(amount_minor), 0) FROM ntc_payments_ledgerentry"
        " WHERE account = 'provider:simulator'"
    )
    assert ours[0][0] == books["money"]["TZS"]["captured"], "I3"
    assert set(books["prompts"].values()) == {1}, "I5"
    assert not stack.query(
        "SELECT task, last_error FROM ntc_outbox_outboxjob WHERE state = 'parked'"
    ), "I7"
    assert not stack.query(
        "SELECT state FROM ntc_webhooks_webhookevent WHERE state NOT IN ('processed', 'ignored')"
    ), "I6"


def require_discreet_logs(stack: Stack) -> None:
    """I10: no number and no secret in anything that a process of ours has printed.

    The simulator is not ours, and the tokens of `make_people` are what it is there to print.
    """
    theirs = ("simulator-", "people-")
    text = "".join(
        path.read_text(errors="replace")
        for path in stack.folder.glob("*.log")
        if not path.name.startswith(theirs)
    )
    numbers = stack.query("SELECT DISTINCT phone_e164 FROM ntc_payments_payment")
    secrets = [stack.env[name] for name in stack.env if name.endswith(("_KEY", "_SECRET"))]
    assert "payment.exchange" in text, "the workers log"
    for told in [*(row[0].lstrip("+") for row in numbers if row[0]), *secrets, "Bearer ey"]:
        assert told not in text, f"I10: {told[:6]}… is in the logs"
