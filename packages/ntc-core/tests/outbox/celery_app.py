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
# Queues of this run alone, on a broker that others use too.
app.conf.broker_transport_options["global_keyprefix"] = os.environ["OUTBOX_TEST_PREFIX"]
app.conf.imports = ["tests.outbox.sample_jobs"]
# The promise is the same at any pace; a test has less patience than production.
app.conf.beat_schedule["ntc-outbox-tick"]["schedule"] = 0.5
