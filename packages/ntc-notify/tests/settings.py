"""Settings of the package's own tests: a small project that sends three kinds of message."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from ntc_core.conf import rest_framework_defaults, spectacular_defaults
from ntc_core.testing.services import database_settings

TESTS_DIR = Path(__file__).parent
# Never written to: every test has its own, see conftest.py.
MAILBOX_DIR = Path(tempfile.gettempdir()) / "ntc-notify-tests"

SECRET_KEY = secrets.token_hex(32)
DEBUG = False
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "tests.urls"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DEFAULT_FROM_EMAIL = "Faraja Yangu <no-reply@farajayangu.example>"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework",
    "drf_spectacular",
    "ntc_core",
    "ntc_core.outbox",
    "ntc_core.webhooks",
    "ntc_notify",
    "tests",
]
MIDDLEWARE = [
    "ntc_core.middleware.RequestIdMiddleware",
    "ntc_core.middleware.RequestLogMiddleware",
    "ntc_core.middleware.EnvelopeErrorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
CSRF_FAILURE_VIEW = "ntc_core.exceptions.csrf_failure"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [TESTS_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": database_settings("ntc_notify")}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

REST_FRAMEWORK = {
    **rest_framework_defaults(),
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
}
SPECTACULAR_SETTINGS = spectacular_defaults(title="Notify tests", version="1.0.0")
NTC_OUTBOX_RUNNER = "manual"
NTC_NOTIFY_API_URL = "https://api.farajayangu.example/api/v1"
# Tests run at any hour; those of the quiet hours set their own.
NTC_NOTIFY_QUIET_HOURS = None
NTC_NOTIFY_KINDS = {
    "receipt": {
        "channels": ["sms", "email"],
        "variables": ["name", "amount", "reference"],
    },
    "verification_code": {
        "channels": ["sms", "email"],
        "variables": ["challenge_uid", "minutes"],
        "secrets": "tests.project.read_code",
        "secret_variables": ["code"],
        "expires_seconds": 600,
        "on_ambiguous": "resend",
    },
    "welcome": {"channels": ["email"], "variables": ["name"]},
    "news": {
        "channels": ["email", "sms", "inapp"],
        "variables": ["title"],
        "marketing": True,
        "reply_to": "editors@farajayangu.example",
    },
    "blank": {"channels": ["sms"], "variables": ["text"]},
    "alert": {
        "channels": ["sms", "inapp"],
        "variables": ["text"],
        "choice": "on",
        "on_ambiguous": "failover",
    },
}
NTC_EMAIL_PROVIDERS = {"mailbox": {"directory": str(MAILBOX_DIR)}}
NTC_SMS_PROVIDERS = {"mailbox": {"directory": str(MAILBOX_DIR)}}
