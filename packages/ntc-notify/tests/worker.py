"""A worker process that delivers what is due: `python -m tests.worker DATABASE PORT`."""

from __future__ import annotations

import sys

import django
from django.conf import settings

from tests.project import CODES


def main(database: str, smtp_port: str) -> None:
    settings.DATABASES["default"]["NAME"] = database
    settings.NTC_EMAIL_PROVIDERS = {
        "smtp": {"host": "127.0.0.1", "port": int(smtp_port), "security": "none"}
    }
    CODES["c1"] = "481516"
    django.setup()
    from ntc_core.outbox.services import run_due_jobs  # noqa: PLC0415 - needs the apps

    run_due_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
