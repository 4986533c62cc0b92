"""Every mistake of an earlier back end that settings can make, each with its number there.

Nothing here is a pattern to follow: `tests/doctor/test_faults.py` says what is wrong with it.
"""

from datetime import timedelta
from pathlib import Path

import sentry_sdk

BASE_DIR = Path(__file__).resolve().parents[2]

# 16: everybody's host, DEBUG by default, a key that everybody knows, used twice.
DEBUG = True
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "django-insecure-your-secret-key"
REFRESH_SECRET = SECRET_KEY

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "corsheaders",
    "rest_framework",
    # 13: no drf_spectacular.
    "ntc_core",
    "ntc_core.outbox",
    "ntc_core.auth",
    "ntc_core.realtime",
    "apps.people",
    # 28: apps.films was made and never added.
]
# 10: no CsrfViewMiddleware, although tokens travel in cookies.
MIDDLEWARE = [
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "faulty_be.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "people.User"
NTC_JWT_KEYS = [SECRET_KEY]

# 11, 12, 14, 18: no handler, no renderer, no pagination, no permission; a key of nobody.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
# 13: written for a document that nothing serves.
SPECTACULAR_SETTINGS = {"TITLE": "Faulty", "SERVE_INCLUDE_SCHEME": False}

SIMPLE_JWT = {
    # 7: a refresh token can be spent again and again.
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "ROTATE_REFRESH_TOKENS": False,
    "SIGNING_KEY": SECRET_KEY,
    # 17: a module that is not there, and keys that nothing reads.
    "TOKEN_OBTAIN_SERIALIZER": "nexent.auth_serializer.CustomTokenObtainPairSerializer",
    "AUTH_COOKIE": "refresh",
    "AUTH_COOKIE_DOMAIN": None,
    "AUTH_COOKIE_SECURE": True,
    "AUTH_COOKIE_HTTP_ONLY": True,
    "AUTH_COOKIE_SAMESITE": "None",
    "AUTH_COOKIE_PATH": "/",
}

CORS_ALLOW_ALL = True
CORS_ORIGIN_ALLOW_ALL = True
CORS_ALLOW_CREDENTIALS = True
CSRF_TRUSTED_ORIGINS = ["http://faulty.example"]
SESSION_COOKIE_SAMESITE = "None"

# 19: people to Sentry, five gigabytes in the memory.
sentry_sdk.init(dsn="", send_default_pii=True, default_integrations=False)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024 * 1024

# 20: nginx says https whatever the truth.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# 21: three zones.
TIME_ZONE = "UTC"
CELERY_TIMEZONE = "Africa/Nairobi"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "TIME_ZONE": "Africa/Dar_es_Salaam",
    }
}
# Celery carries the jobs, and no Celery app of the project is there.
NTC_OUTBOX_RUNNER = "celery"
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# 24: any page may open a socket.
NTC_REALTIME_ORIGIN_REGEXES = [".*"]
NTC_REALTIME_ALLOWED_ORIGINS = ["https://faulty.example"]

# 27: a formatter that breaks, and every event of the project twice.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"simple": {"()": "faulty_be.logs.SimpleFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "simple"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"apps": {"handlers": ["console"], "level": "DEBUG"}},
}
