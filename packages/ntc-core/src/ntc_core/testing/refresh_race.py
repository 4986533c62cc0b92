"""Race one refresh token over real processes, many times, and count what went wrong.

    python -m ntc_core.testing.refresh_race --rounds 10000 --clients 6

A round: one token is issued, and each of the clients, a process with a database connection of
its own, spends it at the same moment. Right is one successor that everybody gets and that works.

It runs on a test database, made from DJANGO_SETTINGS_MODULE and removed afterwards. Any
package that has refresh tokens can be put to it: `--issue` names a function that returns a
new token, `--redeem` one that takes a token and returns its successor or raises.
"""

# ruff: noqa: PLC0415 - Django is set up by whoever runs this

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["RaceReport", "issue", "main", "race", "redeem"]

#: Rounds between two looks at the answers.
BATCH = 250
BARRIER_TIMEOUT_SECONDS = 60.0
_EXAMPLES = 5


@dataclass(kw_only=True)
class RaceReport:
    """What came of a race; `is_clean` is the verdict."""

    clients: int
    rounds: int = 0
    #: Rounds in which two clients got different successors.
    double_spends: int = 0
    #: Answers that were a refusal or an error: clients that lost their session.
    lost: int = 0
    #: Successors that could not be spent in their turn.
    dead: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Tell whether every round had one successor for everybody, and it worked."""
        return not (self.double_spends or self.lost or self.dead)

    def __str__(self) -> str:
        head = (
            f"{self.rounds} rounds of {self.clients} concurrent refreshes: "
            f"{self.double_spends} double spends, {self.lost} lost, {self.dead} dead successors"
        )
        return "\n  ".join([head, *self.examples])

    def note(self, example: str) -> None:
        if len(self.examples) < _EXAMPLES:
            self.examples.append(example)


def issue() -> str:
    """Return the refresh token of a new session of `ntc_core.auth`."""
    from django.contrib.auth import get_user_model

    from ntc_core.auth.services import sign_in
    from ntc_core.testing.plugin import make_user

    return sign_in(user=get_user_model()._default_manager.first() or make_user()).refresh  # noqa: SLF001 - public, whatever its name


def redeem(token: str) -> str:
    """Spend it with `ntc_core.auth`; return the successor."""
    from ntc_core.auth.services import refresh

    return refresh(refresh_token=token).refresh


def race(
    *,
    rounds: int,
    clients: int = 6,
    issue: str = f"{__name__}.issue",
    redeem: str = f"{__name__}.redeem",
) -> RaceReport:
    """Race on the database that Django is connected to, and return what came of it."""
    from django.utils.module_loading import import_string

    issue_token, redeem_token = import_string(issue), import_string(redeem)
    report = RaceReport(clients=clients)
    with _Clients(count=clients, redeem=redeem) as racers:
        while report.rounds < rounds:
            tokens = [issue_token() for _ in range(min(BATCH, rounds - report.rounds))]
            for answers in racers.spend(tokens):
                _judge(report, answers, redeem_token)
    return report


def _judge(report: RaceReport, answers: Sequence[tuple[bool, str]], redeem_token: Any) -> None:
    report.rounds += 1
    successors = {text for good, text in answers if good}
    refusals = [text for good, text in answers if not good]
    report.lost += len(refusals)
    for refusal in refusals:
        report.note(f"round {report.rounds}: {refusal}")
    if len(successors) > 1:
        report.double_spends += 1
        report.note(f"round {report.rounds}: {len(successors)} successors")
    for successor in successors:
        try:
            redeem_token(successor)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and shown
            report.dead += 1
            report.note(f"round {report.rounds}: successor refused: {error!r}")


class _Clients:
    """The racing processes. Each spends every token, and waits for the others before each."""

    def __init__(self, *, count: int, redeem: str) -> None:
        from django.conf import settings
        from django.db import connection

        context = multiprocessing.get_context("spawn")
        # Kept here: it is gone from the system when nobody in this process has it.
        self._barrier = context.Barrier(count)
        database = str(connection.settings_dict["NAME"])
        # Tests invent their secrets at run time and override settings.
        handed = {
            name: getattr(settings, name)
            for name in dir(settings)
            if name == "SECRET_KEY" or name.startswith("NTC_")
        }
        pairs = [context.Pipe() for _ in range(count)]
        self._pipes = [ours for ours, _ in pairs]
        self._their_pipes = [theirs for _, theirs in pairs]
        self._processes = [
            context.Process(
                target=_run_client,
                args=(database, handed, redeem, self._barrier, theirs),
                daemon=True,
            )
            for theirs in self._their_pipes
        ]

    def __enter__(self) -> Self:
        for process, theirs in zip(self._processes, self._their_pipes, strict=True):
            process.start()
            # Theirs alone from now on, so that a process that dies is noticed.
            theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(10)
            process.kill()

    def spend(self, tokens: Sequence[str]) -> Iterator[tuple[tuple[bool, str], ...]]:
        """Return, token by token, what each client got for it."""
        for pipe in self._pipes:
            pipe.send(list(tokens))
        return zip(*[pipe.recv() for pipe in self._pipes], strict=True)


def _run_client(
    database: str, handed: Mapping[str, Any], redeem: str, barrier: Any, pipe: Connection
) -> None:
    """Spend what comes through the pipe until it is closed; run in a process of its own."""
    import django
    from django.conf import settings
    from django.db import connection
    from django.utils.module_loading import import_string

    django.setup()
    connection.settings_dict["NAME"] = database
    for setting, value in handed.items():
        setattr(settings, setting, value)
    redeem_token = import_string(redeem)
    while True:
        try:
            tokens = pipe.recv()
        except EOFError:
            return
        answers = []
        for token in tokens:
            barrier.wait(BARRIER_TIMEOUT_SECONDS)
            try:
                answers.append((True, redeem_token(token)))
            except Exception as error:  # noqa: BLE001 - it is the answer
                answers.append((False, repr(error)))
        pipe.send(answers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Race on a new test database; return 0 if it was clean."""
    parser = argparse.ArgumentParser(
        prog="python -m ntc_core.testing.refresh_race", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--issue", default="ntc_core.testing.refresh_race.issue")
    parser.add_argument("--redeem", default="ntc_core.testing.refresh_race.redeem")
    options = vars(parser.parse_args(arguments))

    import django
    from django.db import connection

    django.setup()
    name = str(connection.settings_dict["NAME"])
    test_settings = connection.settings_dict["TEST"]
    test_settings["NAME"] = f"{test_settings['NAME'] or f'test_{name}'}_race_{os.getpid()}"
    connection.creation.create_test_db(verbosity=0)
    try:
        report = race(**options)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    sys.stdout.write(f"{report}\n")
    return 0 if report.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
