"""A project's Celery app, for a worker process: `celery -A tests.outbox.celery_app worker`."""

from __future__ import annotations

import os

import django
from celery import Celery
from django.conf import settings
from django.db import connection
from ntc_core.outbox import celery_defaults

settings.NTC_OUTBOX_RUNNER = "celery"
django.setup()
connection.settings_dict["NAME"] = os.environ["OUTBOX_TEST_DATABASE"]

app = Celery("outbox-tests", broker=os.environ["OUTBOX_TEST_BROKER"])
app.conf.update(celery_defaults())
app.conf.task_default_queue = os.environ["OUTBOX_TEST_QUEUE"]
app.conf.imports = ["tests.outbox.sample_jobs"]
# The promise is the same at any pace; a test has less patience than production.
app.conf.beat_schedule["ntc-outbox-tick"]["schedule"] = 0.5
