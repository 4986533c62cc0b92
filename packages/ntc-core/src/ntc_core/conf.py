"""The `NTC_*` settings of the core, read when used so that `override_settings` works.

Every package declares its own subclass of `AppSettings`: one class attribute per
setting, its type, its default and, beside it, what it does.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings

__all__ = [
    "THROTTLE_RATES",
    "AppSettings",
    "CoreSettings",
    "core_settings",
    "rest_framework_defaults",
    "spectacular_defaults",
]


class AppSettings:
    """Answer `self.NAME` from the Django setting `NTC_NAME`, else the class's default."""

    def __getattribute__(self, name: str) -> Any:
        default = super().__getattribute__(name)
        if not name.isupper():
            return default
        return getattr(django_settings, f"NTC_{name}", default)


class CoreSettings(AppSettings):
    """What a project may decide about ntc_core."""

    #: Shown in the health answer and the OpenAPI document.
    PROJECT_NAME: str = "NTC"
    PROJECT_VERSION: str = "0.1.0"
    #: Under these paths every response is the JSON envelope, whatever the client accepts.
    API_PREFIXES: tuple[str, ...] = ("/api/",)
    #: How a committed job is woken: "thread" (this process), "celery", or "manual" (tests).
    OUTBOX_RUNNER: str = "thread"
    #: Days a finished job is kept, for people who ask what happened.
    OUTBOX_KEEP_DAYS: int = 14
    #: Largest webhook body that is read, in bytes.
    WEBHOOK_MAX_BYTES: int = 256 * 1024
    #: Days the body of a webhook is kept once it was acted upon; None: for ever. What it was stays.
    WEBHOOK_KEEP_BODY_DAYS: int | None = 90
    #: Suffix of the webhook path of companies that do not sign; empty: no such path exists.
    WEBHOOK_PATH_SECRET: str = ""
    #: Number of proxies in front of the service whose X-Forwarded-For entries are believed.
    TRUSTED_PROXY_COUNT: int = 0
    #: What browsers may load for a page of ours, such as the admin; empty: no such header. Styles
    #: in the page are Swagger UI's.
    CONTENT_SECURITY_POLICY: str = (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    #: Dotted path of the class that numbers are told to (`ntc_core.metrics`); empty: nobody.
    METRICS_SINK: str = ""
    #: Who shows it as a bearer token may read `/metrics` (`ntc_core.prometheus`).
    METRICS_TOKEN: str = ""
    #: Networks such as "10.0.0.0/8" whose callers may read it without. Neither: nobody may.
    METRICS_NETWORKS: tuple[str, ...] = ()
    #: Where a Celery worker shows its own, if anybody may read them; 0: nowhere.
    METRICS_PORT: int = 9100
    #: Where errors are reported (`ntc_core.sentry`); empty: nowhere.
    SENTRY_DSN: str = ""
    #: What Sentry calls this installation.
    SENTRY_ENVIRONMENT: str = "production"
    #: Collector of traces, OTLP over HTTP (`ntc_core.tracing`); empty: nothing is traced.
    TRACES_ENDPOINT: str = ""
    #: Redis that counts calls for the limits; empty: the default cache's, else this process.
    THROTTLE_REDIS_URL: str = ""


core_settings = CoreSettings()

#: The scopes of ntc_core.auth and of sign-up. Those per address are wide, because many phones
#: of one mobile network share one; docs/decisions/0010 says who is counted by which. A project
#: may change each in DEFAULT_THROTTLE_RATES, where it adds its own.
THROTTLE_RATES: dict[str, str | None] = {
    "login": "120/min",
    "login_failed": "60/min",  # per address
    "login_failed_hour": "600/h",  # per address
    "login_failed_device": "5/5m",  # per account and address
    "login_failed_account": "5/5m",  # per account, from addresses that never signed in to it
    "refresh": "120/min",
    "refresh_account": "30/min",  # per session
    "register": "20/min",
    "register_account": "10/min",
    "reset": "20/min",
    "verify": "30/min",
    "verify_account": "10/min",
    "password_change": "5/5m",
    "realtime": "60/min",  # tickets, per user
    "uploads": "60/min",  # files announced and completed, per user
    "uploads_day": "100/d",  # files announced, per user
    "payments": "30/min",  # ntc_payments, per user
}


def rest_framework_defaults() -> dict[str, Any]:
    """Return a REST_FRAMEWORK setting that is safe before anybody has thought about it.

    Nobody gets in without signing in, bodies are JSON only, lists are paged, and every answer
    has the common shape. Throttles are named per view (`ntc_core.throttling`).
    """
    return {
        "DEFAULT_AUTHENTICATION_CLASSES": ["ntc_core.auth.authentication.JWTAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_PARSER_CLASSES": ["ntc_core.parsers.StrictJSONParser"],
        "DEFAULT_RENDERER_CLASSES": ["ntc_core.renderers.EnvelopeJSONRenderer"],
        "DEFAULT_PAGINATION_CLASS": "ntc_core.pagination.StandardResultsSetPagination",
        "DEFAULT_SCHEMA_CLASS": "ntc_core.schema.AutoSchema",
        "DEFAULT_THROTTLE_CLASSES": [],
        "DEFAULT_THROTTLE_RATES": dict(THROTTLE_RATES),
        "EXCEPTION_HANDLER": "ntc_core.exceptions.exception_handler",
        "LIST_SERIALIZER_ERRORS_AS_DICT": True,
        "TEST_REQUEST_DEFAULT_FORMAT": "json",
        # `?format=` would let a query string choose the renderer.
        "URL_FORMAT_OVERRIDE": None,
    }


def spectacular_defaults(*, title: str, version: str) -> dict[str, Any]:
    """Return a SPECTACULAR_SETTINGS whose document matches the running API.

    The document is for everybody; a project that disagrees sets SERVE_PERMISSIONS. The Swagger
    page loads nothing from another host.
    """
    return {
        "TITLE": title,
        "VERSION": version,
        "SERVE_INCLUDE_SCHEMA": False,
        "SERVE_AUTHENTICATION": [],
        "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
        "COMPONENT_SPLIT_REQUEST": True,
        "COMPONENT_SPLIT_PATCH": True,
        "SWAGGER_UI_DIST": "SIDECAR",
        "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
        "REDOC_DIST": "SIDECAR",
        # Without "validatorUrl": None the page sends the document to swagger.io for its badge.
        "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None},
        "SCHEMA_PATH_PREFIX": r"/api/v[0-9]+",
        "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums"],
    }
