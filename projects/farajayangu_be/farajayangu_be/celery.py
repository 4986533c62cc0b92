"""The Celery app: `celery -A farajayangu_be.celery worker`, and `beat` beside it.

It only carries wake-ups: which jobs there are, and whether they are done, is in the database.
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "farajayangu_be.settings.prod")

app = Celery("farajayangu_be")
app.config_from_object("django.conf:settings", namespace="CELERY")
