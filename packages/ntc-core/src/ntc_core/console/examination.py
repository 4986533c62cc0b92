"""Examine the loaded project and print what is to do. Used by `ntc doctor` and `ntc_doctor`."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict

from django.conf import settings

from ntc_core.doctor import (
    DEADLINE_SECONDS,
    Answer,
    AnswerState,
    Finding,
    ask_services,
    list_findings,
)

__all__ = ["DANGER", "HEALTHY", "examine"]

HEALTHY, DANGER = 0, 1
#: Where the output is no terminal: a log, a file.
_COLUMNS = 120


def examine(*, asks_services: bool, as_json: bool, deadline_seconds: float | None = None) -> int:
    """Print every finding and who does not answer; return the exit code."""
    # What goes wrong is in the answers. A line of the log in between would spoil the JSON.
    logging.disable(logging.CRITICAL)
    try:
        findings = list_findings()
        answers = (
            ask_services(deadline_seconds=deadline_seconds or DEADLINE_SECONDS)
            if asks_services
            else []
        )
    finally:
        logging.disable(logging.NOTSET)
    (_print_json if as_json else _print_table)(findings, answers)
    is_down = any(answer.state is AnswerState.DOWN for answer in answers)
    return DANGER if findings or is_down else HEALTHY


def _print_json(findings: Sequence[Finding], answers: Sequence[Answer]) -> None:
    report = {
        "settings": _settings_name(),
        "findings": [asdict(finding) for finding in findings],
        "services": [asdict(answer) for answer in answers],
    }
    sys.stdout.write(f"{json.dumps(report, indent=2, ensure_ascii=False)}\n")


def _print_table(findings: Sequence[Finding], answers: Sequence[Answer]) -> None:
    # An extra; `--json` does without.
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above
    from rich.text import Text  # noqa: PLC0415 - see above

    console = Console(width=None if sys.stdout.isatty() else _COLUMNS)
    down = [answer for answer in answers if answer.state is AnswerState.DOWN]
    rows = [(finding.id, finding.problem, finding.advice) for finding in findings]
    rows += [(f"service: {answer.name}", answer.detail, answer.advice) for answer in down]
    if rows:
        table = Table(show_lines=True)
        for title in ("Id", "What is wrong", "What to do"):
            table.add_column(title, overflow="fold")
        for row in rows:
            # As text: brackets of a setting are no markup.
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
    for state in (AnswerState.UP, AnswerState.NOT_ASKED):
        names = [_described(answer) for answer in answers if answer.state is state]
        if names:
            console.print(Text(f"{state.capitalize()}: {', '.join(names)}."))
    count = f"{len(rows)} to mend" if rows else "All is well"
    console.print(Text(f"{count} in {_settings_name()}."))


def _described(answer: Answer) -> str:
    return f"{answer.name} ({answer.detail})" if answer.detail else answer.name


def _settings_name() -> str:
    return str(getattr(settings, "SETTINGS_MODULE", None) or "the settings")
