"""Settings that need nothing and load nothing: what every process of ours has at least."""

import secrets

from farajayangu_be.settings.base import *  # noqa: F403 - settings inherit this way

SECRET_KEY = secrets.token_urlsafe(64)
NTC_JWT_KEYS = [secrets.token_urlsafe(48)]
NTC_OUTBOX_RUNNER = "manual"
