"""What every answer needs: middleware, handler, renderer, a closed default."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.utils.module_loading import import_string

from ntc_core.conf import core_settings

__all__ = ["check_deployment", "check_settings"]

_MIDDLEWARE = [
    "ntc_core.middleware.RequestIdMiddleware",
    "ntc_core.middleware.RequestLogMiddleware",
    "ntc_core.middleware.EnvelopeErrorsMiddleware",
]
_EXCEPTION_HANDLER = "ntc_core.exceptions.exception_handler"
_RENDERER = "ntc_core.renderers.EnvelopeJSONRenderer"
_PARSER = "ntc_core.parsers.StrictJSONParser"
_CSRF_VIEW = "ntc_core.exceptions.csrf_failure"
_OPEN_PERMISSION = "rest_framework.permissions.AllowAny"
_MOST_PROXIES = 10
_SHORTEST_TOKEN = 20
_SINK_METHODS = ("count", "observe", "gauge")


@register(Tags.security)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Check what breaks the envelope, the request id or the closed default."""
    return [
        *_check_middleware(),
        *_check_rest_framework(),
        *_check_core_settings(),
        *_check_csrf_view(),
        *_check_metrics_sink(),
        *_check_metrics_page(),
    ]


@register(Tags.security, deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """Check what is convenient in development and dangerous in production."""
    found: list[CheckMessage] = []
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            Warning(
                "ALLOWED_HOSTS contains '*': links in messages can be forged by a Host header.",
                hint="Name the hosts of the service.",
                id="ntc_core.W001",
            )
        )
    parsers = _rest_framework().get("DEFAULT_PARSER_CLASSES")
    if parsers != [_PARSER]:
        found.append(
            Warning(
                f"REST_FRAMEWORK['DEFAULT_PARSER_CLASSES'] is not [{_PARSER!r}].",
                hint="Name other parsers on the views that need them.",
                id="ntc_core.W002",
            )
        )
    return found


def _check_middleware() -> list[CheckMessage]:
    configured = list(settings.MIDDLEWARE)
    missing = [path for path in _MIDDLEWARE if path not in configured]
    if missing:
        return [
            Error(
                f"MIDDLEWARE lacks {path!r}.", hint="See ntc_core.middleware.", id="ntc_core.E001"
            )
            for path in missing
        ]
    if configured[: len(_MIDDLEWARE)] != _MIDDLEWARE:
        return [
            Error(
                "The middleware of ntc_core is not first: what comes before it answers without "
                "a request id and without the envelope.",
                hint=f"Begin MIDDLEWARE with {', '.join(_MIDDLEWARE)}, in this order.",
                id="ntc_core.E002",
            )
        ]
    return []


def _check_rest_framework() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    configured = _rest_framework()
    if configured.get("EXCEPTION_HANDLER") != _EXCEPTION_HANDLER:
        found.append(_expected("EXCEPTION_HANDLER", _EXCEPTION_HANDLER, "ntc_core.E003"))
    if list(configured.get("DEFAULT_RENDERER_CLASSES", []))[:1] != [_RENDERER]:
        found.append(_expected("DEFAULT_RENDERER_CLASSES", [_RENDERER], "ntc_core.E004"))
    permissions = list(configured.get("DEFAULT_PERMISSION_CLASSES", []))
    if not permissions or _OPEN_PERMISSION in permissions:
        found.append(
            Error(
                "REST_FRAMEWORK['DEFAULT_PERMISSION_CLASSES'] lets everybody in: a view whose "
                "author forgot to name a permission would be public.",
                hint="Use rest_framework.permissions.IsAuthenticated, and AllowAny per view.",
                id="ntc_core.E005",
            )
        )
    return found


def _check_core_settings() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    count = core_settings.TRUSTED_PROXY_COUNT
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= _MOST_PROXIES:
        found.append(
            Error(
                f"NTC_TRUSTED_PROXY_COUNT is {count!r}; expected a whole number from 0 to "
                f"{_MOST_PROXIES}: how many proxies of yours stand in front of the service.",
                id="ntc_core.E006",
            )
        )
    prefixes = core_settings.API_PREFIXES
    if isinstance(prefixes, str) or not all(
        isinstance(prefix, str) and prefix.startswith("/") for prefix in prefixes
    ):
        found.append(
            Error(
                f"NTC_API_PREFIXES is {prefixes!r}; expected a tuple of paths such as ('/api/',).",
                id="ntc_core.E008",
            )
        )
    return found


def _check_csrf_view() -> list[CheckMessage]:
    if _CSRF_VIEW == settings.CSRF_FAILURE_VIEW:
        return []
    return [
        Error(
            f"CSRF_FAILURE_VIEW is {settings.CSRF_FAILURE_VIEW!r}: a refusal would not be JSON.",
            hint=f"Set CSRF_FAILURE_VIEW = {_CSRF_VIEW!r}.",
            id="ntc_core.E007",
        )
    ]


def _check_metrics_sink() -> list[CheckMessage]:
    path = core_settings.METRICS_SINK
    if not path:
        return []
    try:
        sink = import_string(path)()
    except Exception as error:  # noqa: BLE001 - the project's own code: whatever it raises is the finding
        return [Error(f"NTC_METRICS_SINK: {path!r} cannot be built: {error}", id="ntc_core.E009")]
    missing = [name for name in _SINK_METHODS if not callable(getattr(sink, name, None))]
    if not missing:
        return []
    return [
        Error(
            f"NTC_METRICS_SINK: {path!r} has no {', '.join(missing)}.",
            hint="See ntc_core.metrics.MetricsSink.",
            id="ntc_core.E009",
        )
    ]


def _check_metrics_page() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    token = core_settings.METRICS_TOKEN
    if token and len(token) < _SHORTEST_TOKEN:
        found.append(
            Error(
                f"NTC_METRICS_TOKEN has fewer than {_SHORTEST_TOKEN} characters.",
                hint="Make one with: openssl rand -hex 32",
                id="ntc_core.E015",
            )
        )
    networks = core_settings.METRICS_NETWORKS
    for network in [networks] if isinstance(networks, str) else networks:
        try:
            is_everybodys = ipaddress.ip_network(network).prefixlen == 0
        except ValueError:
            is_everybodys = None
        if is_everybodys is not False or isinstance(networks, str):
            found.append(
                Error(
                    f"NTC_METRICS_NETWORKS has {network!r}; expected a list of networks of yours.",
                    hint='Write ["10.0.0.0/8"].',
                    id="ntc_core.E015",
                )
            )
    return found


def _expected(key: str, value: object, check_id: str) -> CheckMessage:
    return Error(
        f"REST_FRAMEWORK[{key!r}] is not {value!r}: answers would not have the common shape.",
        hint="Start from ntc_core.conf.rest_framework_defaults().",
        id=check_id,
    )


def _rest_framework() -> dict[str, Any]:
    return getattr(settings, "REST_FRAMEWORK", {})
