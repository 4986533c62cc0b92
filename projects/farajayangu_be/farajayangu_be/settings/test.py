"""For pytest: the apps of production, PostgreSQL where there is one, and jobs run on demand."""

from __future__ import annotations

import atexit
import secrets
import shutil
import tempfile
from pathlib import Path

from ntc_core.logging import build_logging
from ntc_core.testing.services import database_settings

from .base import *  # noqa: F403 - settings inherit this way
from .base import channel_layers

# Everything this process keeps outside of its database.
LOCAL_DIR = Path(tempfile.mkdtemp(prefix="farajayangu-tests-"))
atexit.register(shutil.rmtree, LOCAL_DIR, ignore_errors=True)

DEBUG = False
SECRET_KEY = secrets.token_urlsafe(64)
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
PUBLIC_URL = "http://testserver"
NTC_REALTIME_ORIGINS = [PUBLIC_URL]

DATABASES = {"default": database_settings("farajayangu_be")}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
CHANNEL_LAYERS = channel_layers("")
NTC_OUTBOX_RUNNER = "manual"
# The real hashers are slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# No `collectstatic` has run: the folder is empty, and there is no manifest.
STATIC_ROOT = LOCAL_DIR / "static"
STATIC_ROOT.mkdir()
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

NTC_STORAGE_PROVIDERS = {
    "local": {
        "directory": str(LOCAL_DIR / "files"),
        "base_url": f"{PUBLIC_URL}/api/v1/uploads/local",
        "signing_key": secrets.token_hex(32),
    }
}
NTC_JWT_KEYS = [secrets.token_urlsafe(48)]
NTC_PAYMENT_PROVIDERS = {
    "simulator": {
        # Nobody listens on the discard port; a test that pays points this at its own simulator.
        "base_url": "http://127.0.0.1:9",
        "api_key": secrets.token_hex(16),
        "webhook_secret": secrets.token_hex(32),
        "callback_url": f"{PUBLIC_URL}/api/v1/webhooks/payments/simulator/",
    }
}
NTC_PAYMENT_RETURN_HOSTS = ["app.example.com"]
NTC_NOTIFY_API_URL = f"{PUBLIC_URL}/api/v1"
NTC_EMAIL_PROVIDERS = {"mailbox": {"directory": str(LOCAL_DIR / "mailbox")}}
NTC_SMS_PROVIDERS = {"mailbox": {"directory": str(LOCAL_DIR / "mailbox")}}
DEFAULT_FROM_EMAIL = "Faraja Yangu <salamu@example.com>"

LOGGING = build_logging(level="INFO", json=False, log_dir=None)
