"""A process that stores or delivers a bulk: `python -m tests.bulk_worker DATABASE OPTIONS WHAT`.

WHAT is "store:<kind>:<count>", or "deliver".
"""

from __future__ import annotations

import json
import sys

import django
from django.conf import settings


def main(database: str, options: str, what: str) -> None:
    settings.DATABASES["default"]["NAME"] = database
    settings.NTC_SMS_PROVIDERS = {"pigeon": json.loads(options)}
    django.setup()
    if what == "deliver":
        from ntc_core.outbox.services import run_due_jobs  # noqa: PLC0415 - needs the apps

        run_due_jobs()
        return
    from tests.test_bulk_kill import store  # noqa: PLC0415 - needs the apps

    _, kind, count = what.split(":")
    summary = store(kind, int(count))
    sys.stdout.write(json.dumps({"people": summary.people, "skipped": summary.skipped}))


if __name__ == "__main__":
    main(*sys.argv[1:])
