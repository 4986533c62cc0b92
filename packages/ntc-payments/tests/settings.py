"""Settings of the package's own tests: the smallest project that takes payments."""

from __future__ import annotations

import secrets

from ntc_core.conf import rest_framework_defaults, spectacular_defaults
from ntc_core.testing.services import database_settings

SECRET_KEY = secrets.token_hex(32)
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
ROOT_URLCONF = "tests.urls"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "ntc_core",
    "ntc_core.outbox",
    "ntc_core.webhooks",
    "ntc_core.idempotency",
    "ntc_payments",
    "tests",
]

MIDDLEWARE = [
    "ntc_core.middleware.RequestIdMiddleware",
    "ntc_core.middleware.RequestLogMiddleware",
    "ntc_core.middleware.EnvelopeErrorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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

CSRF_FAILURE_VIEW = "ntc_core.exceptions.csrf_failure"

DATABASES = {"default": database_settings("ntc_payments")}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

REST_FRAMEWORK = {
    **rest_framework_defaults(),
    # Who is signed in is not this package's business: the tests force it.
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
}
SPECTACULAR_SETTINGS = spectacular_defaults(title="Payments tests", version="1.0.0")

NTC_OUTBOX_RUNNER = "manual"
# All of the tests' payers have one phone; those about the limit set their own.
NTC_PAYMENT_MAX_LIVE_PER_PHONE = 1000
NTC_PAYMENT_RETURN_HOSTS = ["shop.example"]
NTC_PAYMENT_PROVIDERS: dict[str, dict[str, object]] = {}
