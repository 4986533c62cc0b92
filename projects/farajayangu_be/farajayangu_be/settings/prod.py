"""The public service: PostgreSQL, Redis, Celery, HTTPS. Nothing secret has a default."""

from __future__ import annotations

import hashlib
import hmac

from ntc_core.logging import build_logging

from .base import *  # noqa: F403 - settings inherit this way
from .base import (
    CORS_ALLOWED_ORIGINS,
    LOG_DIR,
    LOG_LEVEL,
    NTC_TRUSTED_PROXY_COUNT,
    NTC_WEBHOOK_PATH_SECRET,
    STORAGES,
    channel_layers,
    env,
    read_storage,
)
from .companies import beem_otp, message_providers, payment_providers, return_hosts
from .environment import refuse

DEBUG = False

# Django's own bar (security.W009): shorter or poorer keys can be guessed.
SECRET_KEY_MIN_LENGTH = 50
SECRET_MIN_DIFFERENT = 5
JWT_KEY_MIN_LENGTH = 32
WEBHOOK_PATH_SECRET_MIN_LENGTH = 20
_SECRET_KEY_EXPECTED = (
    f"at least {SECRET_KEY_MIN_LENGTH} random characters, for example from "
    "python3 -c 'import secrets; print(secrets.token_urlsafe(64))'"
)
SECRET_KEY = env.required("SECRET_KEY", expected=_SECRET_KEY_EXPECTED)
if len(SECRET_KEY) < SECRET_KEY_MIN_LENGTH or len(set(SECRET_KEY)) < SECRET_MIN_DIFFERENT:
    raise refuse("SECRET_KEY", "is too short or too uniform", expected=_SECRET_KEY_EXPECTED)
if SECRET_KEY.startswith("django-insecure-"):
    raise refuse("SECRET_KEY", "is a throw-away key", expected=_SECRET_KEY_EXPECTED)

_ALLOWED_HOSTS_EXPECTED = "a comma list of host names such as api.example.com"
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
if not ALLOWED_HOSTS:
    raise refuse("ALLOWED_HOSTS", "is not set", expected=_ALLOWED_HOSTS_EXPECTED)
for _host in ALLOWED_HOSTS:
    if "*" in _host or "/" in _host or " " in _host:
        raise refuse(
            "ALLOWED_HOSTS",
            "has an entry that is a wildcard or not a host name",
            expected=_ALLOWED_HOSTS_EXPECTED,
        )
    if _host.startswith(".") and "." not in _host.strip("."):
        raise refuse(
            "ALLOWED_HOSTS",
            "has an entry that lets in every host of a top-level domain",
            expected=_ALLOWED_HOSTS_EXPECTED,
        )

PUBLIC_URL = env.site_url("PUBLIC_URL", default=f"https://{ALLOWED_HOSTS[0].lstrip('.')}")
if not PUBLIC_URL.startswith("https://"):
    raise refuse("PUBLIC_URL", "is not https", expected="a URL such as https://api.example.com")

# Pages of our own host, and of the front ends that may call the API.
NTC_REALTIME_ORIGINS = [PUBLIC_URL, *CORS_ALLOWED_ORIGINS]

# --- Data -------------------------------------------------------------------------------

DATABASES = {"default": env.database("DATABASE_URL")}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise refuse(
        "DATABASE_URL",
        "is not PostgreSQL",
        expected="a URL such as postgres://user:password@host:5432/name",
    )

REDIS_URL = env.redis_url("REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        # A cache that hangs must not hang the request.
        "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 2},
    }
}
CHANNEL_LAYERS = channel_layers(REDIS_URL)
SESSION_ENGINE = "django.contrib.sessions.backends.cache"

# --- Files ------------------------------------------------------------------------------

# Without STORAGE_PROVIDER the service runs, and takes no files.
_files = read_storage(public_url=PUBLIC_URL, secret_key=SECRET_KEY)
STORAGES = {**STORAGES, "default": _files.django_storage}
NTC_STORAGE_PROVIDERS = _files.providers

# --- Jobs -------------------------------------------------------------------------------

CELERY_BROKER_URL = env.redis_url("CELERY_BROKER_URL", default=REDIS_URL)
NTC_OUTBOX_RUNNER = "celery"

# --- HTTPS ------------------------------------------------------------------------------

if NTC_TRUSTED_PROXY_COUNT:
    # Believed only where a proxy is known to set it: anyone else could claim to be secure.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
# Health checks come from inside the cluster, by plain http.
SECURE_REDIRECT_EXEMPT = [r"^health/"]
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
# Binds nobody by itself: browsers' list takes whole domains, from whoever owns them.
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# The admin's. No sub-domain can plant a cookie with this prefix; no third one is written.
SESSION_COOKIE_NAME = "__Host-admin_session"
CSRF_COOKIE_NAME = "__Host-admin_csrf"
CSRF_COOKIE_HTTPONLY = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- The API's document -----------------------------------------------------------------

# /schema/ and /docs/ are for staff, who sign in at /admin/: a stranger need not have the map.
SPECTACULAR_SETTINGS = {
    **SPECTACULAR_SETTINGS,  # noqa: F405 - from base
    "SERVE_AUTHENTICATION": ["rest_framework.authentication.SessionAuthentication"],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAdminUser"],
}

# --- Tokens -----------------------------------------------------------------------------

# Without JWT_KEYS tokens are signed with a key of their own that follows from SECRET_KEY.
NTC_JWT_KEYS = env.words("JWT_KEYS") or [
    hmac.new(SECRET_KEY.encode(), b"farajayangu_be.jwt", hashlib.sha256).hexdigest()
]
for _key in NTC_JWT_KEYS:
    if len(_key) < JWT_KEY_MIN_LENGTH or len(set(_key)) < SECRET_MIN_DIFFERENT:
        raise refuse(
            "JWT_KEYS",
            "has a key that is too short or too uniform",
            expected=f"a comma list of keys of at least {JWT_KEY_MIN_LENGTH} random characters",
        )

# --- Companies --------------------------------------------------------------------------

# Who knows the path of a company that does not sign can tell us that it was paid.
if NTC_WEBHOOK_PATH_SECRET and (
    len(NTC_WEBHOOK_PATH_SECRET) < WEBHOOK_PATH_SECRET_MIN_LENGTH
    or len(set(NTC_WEBHOOK_PATH_SECRET)) < SECRET_MIN_DIFFERENT
):
    raise refuse(
        "WEBHOOK_PATH_SECRET",
        "is too short or too uniform",
        expected=f"at least {WEBHOOK_PATH_SECRET_MIN_LENGTH} random letters and digits, or nothing",
    )
NTC_PAYMENT_PROVIDERS = payment_providers(env, public_url=PUBLIC_URL, default=[], simulator={})
NTC_PAYMENT_RETURN_HOSTS = return_hosts(PUBLIC_URL, *CORS_ALLOWED_ORIGINS)
NTC_NOTIFY_API_URL = f"{PUBLIC_URL}/api/v1"
NTC_EMAIL_PROVIDERS = message_providers(
    env, "EMAIL_PROVIDERS", default=["smtp"] if env.text("EMAIL_URL") else [], mailbox=None
)
if NTC_EMAIL_PROVIDERS:
    DEFAULT_FROM_EMAIL = env.required(
        "DEFAULT_FROM_EMAIL", expected="a sender such as Faraja Yangu <salamu@example.com>"
    )
NTC_SMS_PROVIDERS = message_providers(env, "SMS_PROVIDERS", default=[], mailbox=None)
NTC_BEEM_OTP = beem_otp(env)

# --- Logs, errors, traces, numbers ------------------------------------------------------

NTC_SENTRY_DSN = env.text("SENTRY_DSN")
NTC_TRACES_ENDPOINT = env.web_url("TRACES_ENDPOINT")
NTC_METRICS_TOKEN = env.text("METRICS_TOKEN")
NTC_METRICS_PORT = env.whole_number("METRICS_PORT", default=9100)
if NTC_METRICS_TOKEN:
    NTC_METRICS_SINK = "ntc_core.prometheus.PrometheusSink"
LOGGING = build_logging(level=LOG_LEVEL, json=True, log_dir=LOG_DIR, project="farajayangu_be")
