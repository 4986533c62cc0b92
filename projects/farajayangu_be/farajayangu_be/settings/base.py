"""What development, production and the tests have in common.

Values that differ per installation come from the environment (`environment.py`); every
variable is listed in `.env.example`. `dev.py` and `prod.py` decide the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ntc_core.conf import rest_framework_defaults, spectacular_defaults
from ntc_core.storage.settings import StorageChoice, storage_settings
from ntc_payments.types import PaymentMethod

from .environment import Environment

BASE_DIR = Path(__file__).resolve().parents[2]
#: The checkout: `.env` and `.local/` lie here.
ROOT_DIR = BASE_DIR.parents[1]

env = Environment()

# --- Applications -----------------------------------------------------------------------

INSTALLED_APPS = [
    # First, so that our templates win over those of the packages.
    "farajayangu_be",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "ntc_core",
    "ntc_core.outbox",
    "ntc_core.webhooks",
    "ntc_core.idempotency",
    "ntc_core.auth",
    "ntc_core.realtime",
    "ntc_core.storage",
    "ntc_payments",
    "ntc_notify",
    "apps.accounts",
    "apps.subscriptions",
    "apps.common",
]

MIDDLEWARE = [
    "ntc_core.middleware.RequestIdMiddleware",
    "ntc_core.middleware.RequestLogMiddleware",
    "ntc_core.middleware.EnvelopeErrorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "farajayangu_be.urls"
WSGI_APPLICATION = "farajayangu_be.wsgi.application"
ASGI_APPLICATION = "farajayangu_be.asgi.application"
CSRF_FAILURE_VIEW = "ntc_core.exceptions.csrf_failure"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Data -------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# A body is a small JSON document; files go to storage directly, never through a process of ours.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 500  # the admin's list actions send one field per row
DATA_UPLOAD_MAX_NUMBER_FILES = 5

# --- People -----------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
_DJANGO = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": f"{_DJANGO}.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "phone", "full_name"]},
    },
    {"NAME": f"{_DJANGO}.MinimumLengthValidator"},
    # Twenty thousand passwords that were found in breaches most often.
    {"NAME": f"{_DJANGO}.CommonPasswordValidator"},
    # Digits alone are a phone number or a date.
    {"NAME": f"{_DJANGO}.NumericPasswordValidator"},
    {
        "NAME": "apps.accounts.password_validation.OurWordsValidator",
        "OPTIONS": {"words": ["farajayangu", "faraja", "yangu", "nexent", "admin", "support"]},
    },
]

# --- Language and time ------------------------------------------------------------------

# The API speaks English unless a client asks for Swahili (Accept-Language). Messages to a
# person are in the language of that person, which is Swahili until they choose another.
LANGUAGE_CODE = "en"
LANGUAGES = [("sw", "Kiswahili"), ("en", "English")]
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

# --- HTTP -------------------------------------------------------------------------------

CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS")
# Front ends of the same site may keep their session in cookies (docs/decisions/0007).
CORS_ALLOW_CREDENTIALS = True
CORS_EXPOSE_HEADERS = ["X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"]
CORS_ALLOW_HEADERS = [
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "x-csrf-token",
    "x-request-id",
]
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# How many proxies stand in front of us; only their X-Forwarded-* entries are believed.
NTC_TRUSTED_PROXY_COUNT = env.whole_number("TRUSTED_PROXY_COUNT", default=0)
REST_FRAMEWORK = rest_framework_defaults()
REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] |= {"subscribe": "20/min"}

# Codes cost money. Many phones share one address of their network, and few of our people have
# a number of another country.
NTC_CODES_PER_ADDRESS_PER_HOUR = 100
NTC_CODES_PER_COUNTRY_PER_DAY = {"+255": 20_000, "+": 50}

# --- Files ------------------------------------------------------------------------------

_IMAGES = ["image/jpeg", "image/png", "image/webp"]
NTC_STORAGE_PURPOSES = {
    "file": {"types": [*_IMAGES, "image/gif", "application/pdf"], "max_bytes": 10 * 1024 * 1024},
    "avatar": {"types": _IMAGES, "max_bytes": 5 * 1024 * 1024},
}


def read_storage(
    *, public_url: str, secret_key: str, default: str = "", directory: Path | str = ""
) -> StorageChoice:
    """Read STORAGE_PROVIDER and what belongs to it."""
    return storage_settings(
        env.text,
        default=default,
        directory=directory,
        local_url=f"{public_url}/api/v1/uploads/local",
        secret_key=secret_key,
    )


# --- The live channel ----------------------------------------------------------------------


def channel_layers(redis_url: str) -> dict[str, Any]:
    """Return CHANNEL_LAYERS: over Redis, or, without one, within a single process."""
    if not redis_url:
        return {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    # A Redis that hangs must not hang who pushes.
    host = {"address": redis_url, "socket_connect_timeout": 2, "socket_timeout": 2}
    layer = "channels_redis.pubsub.RedisPubSubChannelLayer"
    return {"default": {"BACKEND": layer, "CONFIG": {"hosts": [host], "prefix": "ntc"}}}


# --- Logs -------------------------------------------------------------------------------

LOG_LEVEL = env.one_of("LOG_LEVEL", ["DEBUG", "INFO", "WARNING", "ERROR"], default="INFO")
LOG_DIR = env.text("LOG_DIR")

# --- The NTC packages -------------------------------------------------------------------

NTC_PROJECT_NAME = "Faraja Yangu"
NTC_PROJECT_VERSION = "0.1.0"
NTC_USER_SERIALIZER = "apps.accounts.serializers.UserOutput"
NTC_WEBHOOK_PATH_SECRET = env.text("WEBHOOK_PATH_SECRET")
SPECTACULAR_SETTINGS = {
    **spectacular_defaults(title=f"{NTC_PROJECT_NAME} API", version=NTC_PROJECT_VERSION),
    # `method` and `methods` share their words; one name for both in the document.
    "ENUM_NAME_OVERRIDES": {"PaymentMethodEnum": [method.value for method in PaymentMethod]},
}

# What Django and other apps send (mails to the admins, for one) goes by the same road.
EMAIL_BACKEND = "ntc_notify.mail_backend.EmailBackend"
NTC_PAYMENT_TIMELINE_NOTES = "farajayangu_be.timeline.list_messages_about"

NTC_NOTIFY_KINDS = {
    "verification_code": {
        "channels": ["sms", "email"],
        "variables": ["challenge", "minutes"],
        # Asked for when the message is written, so that no row of ours holds the code.
        "secrets": "farajayangu_be.receivers.read_code",
        "secret_variables": ["code"],
        "expires_seconds": 5 * 60,
        # A second copy does no harm, a missing one keeps somebody out.
        "on_ambiguous": "failover",
    },
    "account_exists": {"channels": ["sms", "email"]},
    "receipt": {
        "channels": ["sms", "email", "inapp"],
        "variables": ["amount", "description", "reference", "paid_at", "active_until"],
    },
    "payment_failed": {
        "channels": ["sms", "email", "inapp"],
        "variables": ["amount", "description", "reference", "failure"],
    },
    # What staff send to many: `manage.py notify send`.
    "announcement": {
        "channels": ["sms", "email", "inapp"],
        "variables": ["title", "body"],
        "marketing": True,
    },
}
