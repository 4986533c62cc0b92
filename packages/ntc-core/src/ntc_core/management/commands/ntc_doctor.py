"""`manage.py ntc_doctor`: the same as `ntc doctor`, where manage.py has chosen the settings."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ntc_core.console.examination import examine

__all__ = ["Command"]


class Command(BaseCommand):
    """Runs the system checks itself, all of them, as findings."""

    help = (
        "Say what of the settings is dangerous or has no effect, and which service does not "
        "answer. Exits with 1 when there is something to mend."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--no-services", action="store_true", help="Ask no database and such.")
        parser.add_argument("--json", action="store_true", help="JSON instead of a table.")
        parser.add_argument(
            "--deadline", type=float, help="Seconds within which services have to answer."
        )

    def handle(
        self, *_args: Any, no_services: bool, json: bool, deadline: float | None, **_options: Any
    ) -> None:
        """Examine, and exit with the answer."""
        try:
            code = examine(asks_services=not no_services, as_json=json, deadline_seconds=deadline)
        except ImportError as error:
            if (error.name or "").partition(".")[0] != "rich":
                raise
            raise CommandError(
                "The table needs an extra: pip install 'ntc-core[console]'; or use --json."
            ) from error
        sys.exit(code)
