"""The Celery app: `celery -A farajayangu_be.celery worker`, and `beat` beside it.

It only carries wake-ups: which jobs there are, and whether they are done, is in the database.
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from ntc_core.outbox.celery_config import celery_defaults

__all__ = ["app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "farajayangu_be.settings.prod")

app = Celery("farajayangu_be")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(celery_defaults())


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Leave LOGGING as Django set it up: Celery's own would neither mask nor carry request ids."""
