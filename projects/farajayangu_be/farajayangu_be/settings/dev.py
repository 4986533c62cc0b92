"""A developer's machine: no server needed. `.env` is read, and everything has a default.

SQLite, an in-process cache, jobs in a thread of the web process, the simulator for payments
and a local mailbox for messages. DATABASE_URL, REDIS_URL and CELERY_BROKER_URL put the real
thing in place of each. Never for the public: DEBUG is on, and the mailbox shows every code.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from ntc_core.conf import CoreSettings
from ntc_core.logging import build_logging

from . import dotenv, played  # noqa: F401 - before anything reads the environment
from .base import *  # noqa: F403 - settings inherit this way
from .base import (
    CORS_ALLOWED_ORIGINS,
    LOG_DIR,
    LOG_LEVEL,
    NTC_WEBHOOK_PATH_SECRET,
    ROOT_DIR,
    STORAGES,
    channel_layers,
    env,
    read_storage,
)
from .companies import beem_otp, message_providers, payment_providers, return_hosts
from .local_secret import read_or_make_secret

#: What this machine keeps between two runs; delete the folder to begin anew.
LOCAL_DIR = Path(env.text("LOCAL_DIR", default=str(ROOT_DIR / ".local"))).resolve()
LOCAL_DIR.mkdir(parents=True, exist_ok=True)

DEBUG = True
SECRET_KEY = env.text("SECRET_KEY") or read_or_make_secret(LOCAL_DIR / "secret_key")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
PORT = env.whole_number("PORT", default=8000)
# Whatever port a front end's own development server has.
CORS_ALLOWED_ORIGIN_REGEXES = [r"^http://(localhost|127\.0\.0\.1):[0-9]+$"]
NTC_REALTIME_ORIGIN_REGEXES = [r"http://(localhost|127\.0\.0\.1):[0-9]+"]
PUBLIC_URL = env.site_url("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}")
NTC_REALTIME_ORIGINS = [PUBLIC_URL, *CORS_ALLOWED_ORIGINS]

# The pretend phone and Django's error pages have scripts within the page.
NTC_CONTENT_SECURITY_POLICY = (
    f"{CoreSettings.CONTENT_SECURITY_POLICY}; script-src 'self' 'unsafe-inline'"
)

# --- Data -------------------------------------------------------------------------------

DATABASES = {
    "default": env.database("DATABASE_URL", default=f"sqlite:///{LOCAL_DIR / 'db.sqlite3'}")
}
REDIS_URL = env.redis_url("REDIS_URL")
if REDIS_URL:
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    }
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

CHANNEL_LAYERS = channel_layers(REDIS_URL)

_files = read_storage(
    public_url=PUBLIC_URL, secret_key=SECRET_KEY, default="local", directory=LOCAL_DIR / "files"
)
STORAGES = {**STORAGES, "default": _files.django_storage}
NTC_STORAGE_PROVIDERS = _files.providers

# --- Jobs -------------------------------------------------------------------------------

CELERY_BROKER_URL = env.redis_url("CELERY_BROKER_URL")
NTC_OUTBOX_RUNNER = "celery" if CELERY_BROKER_URL else "thread"

# --- Companies, played here -------------------------------------------------------------


def _derive(purpose: str) -> str:
    """Return a key that only this machine knows and that stays the same between runs."""
    return hmac.new(SECRET_KEY.encode(), purpose.encode(), hashlib.sha256).hexdigest()


NTC_PAYMENT_PROVIDERS = payment_providers(
    env,
    public_url=PUBLIC_URL,
    may_move_money=False,
    default=["simulator"],
    simulator={
        "base_url": f"http://127.0.0.1:{PORT + 1}",
        "api_key": _derive("simulator.api_key"),
        "webhook_secret": _derive("simulator.webhook_secret"),
    },
)
#: Company -> where the simulator tells what happened, for those it plays besides its own.
PLAYED_COMPANIES = {
    name: f"{PUBLIC_URL}/api/v1/webhooks/payments/{name}-{NTC_WEBHOOK_PATH_SECRET}/"
    for name in played.PLAYED
}
NTC_PAYMENT_RETURN_HOSTS = return_hosts(
    PUBLIC_URL, *CORS_ALLOWED_ORIGINS, "http://localhost", "http://127.0.0.1"
)
NTC_NOTIFY_API_URL = f"{PUBLIC_URL}/api/v1"
NTC_EMAIL_PROVIDERS = message_providers(
    env, "EMAIL_PROVIDERS", default=["mailbox"], mailbox=LOCAL_DIR / "mailbox"
)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", default="Faraja Yangu <salamu@example.com>")
NTC_SMS_PROVIDERS = message_providers(
    env, "SMS_PROVIDERS", default=["mailbox"], mailbox=LOCAL_DIR / "mailbox"
)
NTC_BEEM_OTP = beem_otp(env)

# --- Logs -------------------------------------------------------------------------------

LOGGING = build_logging(level=LOG_LEVEL, json=False, log_dir=LOG_DIR, project="farajayangu_be")
