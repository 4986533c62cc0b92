"""What the settings say and the project's own code does not keep: URLs, apps, users, logs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string
from django.views.static import serve

__all__ = ["check_code", "check_urls"]

#: Sentry's documentation shows a page that divides by zero under this name.
_CRASHES = ("sentry-debug", "sentry_debug")
#: Where installers put what is not the project's own.
_PACKAGES = {"site-packages", "dist-packages"}


@register(Tags.urls, deploy=True)
def check_urls(**_: Any) -> list[CheckMessage]:
    """Check what is mounted and what is not."""
    patterns = list(_walk(get_resolver().url_patterns))
    return [*_check_schema(patterns), *_check_crashes(patterns), *_check_listings(patterns)]


@register()
def check_code(**_: Any) -> list[CheckMessage]:
    """Check the user model, pagination, logging and the folders of apps."""
    return [*_check_last_login(), *_check_pagination(), *_check_logging(), *_check_apps()]


def _walk(
    patterns: Iterable[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        else:
            yield route, pattern


def _check_schema(patterns: Iterable[tuple[str, URLPattern]]) -> Iterator[CheckMessage]:
    # Not at the top: its import reads REST framework's settings, which check_names judges.
    view = import_string("drf_spectacular.views.SpectacularAPIView")
    classes = (getattr(pattern.callback, "cls", None) for _, pattern in patterns)
    if not any(isinstance(each, type) and issubclass(each, view) for each in classes):
        yield Warning(
            "No URL serves the OpenAPI document: nobody can read what the API promises.",
            hint="Add *ntc_core.schema.schema_urls to urlpatterns; SERVE_PERMISSIONS says to whom "
            "it is shown.",
            id="ntc_core.W019",
        )
    if not apps.is_installed("drf_spectacular"):
        yield Warning(
            "drf_spectacular is not installed, which writes the OpenAPI document.",
            hint="Add 'drf_spectacular' and 'drf_spectacular_sidecar' to INSTALLED_APPS.",
            id="ntc_core.W019",
        )


def _check_crashes(patterns: Iterable[tuple[str, URLPattern]]) -> Iterator[CheckMessage]:
    for route, _ in patterns:
        if any(name in route for name in _CRASHES):
            yield Warning(
                f"/{route} crashes on purpose, for whoever calls it.",
                hint="Remove it from urlpatterns.",
                id="ntc_core.W020",
            )


def _check_listings(patterns: Iterable[tuple[str, URLPattern]]) -> Iterator[CheckMessage]:
    for route, pattern in patterns:
        if pattern.callback is serve and pattern.default_args.get("show_indexes"):
            yield Warning(
                f"/{route} lists the files of its folder.",
                hint="Leave show_indexes out; better, let the storage serve files.",
                id="ntc_core.W021",
            )


def _check_last_login() -> Iterator[CheckMessage]:
    try:
        model = get_user_model()
        field = model._meta.get_field("last_login")  # noqa: SLF001 - Django's documented API
    except (FieldDoesNotExist, ImproperlyConfigured):
        return  # without users, or without the moment of their sign-in
    if getattr(field, "auto_now", False):
        yield Error(
            f"{model.__name__}.last_login is auto_now: every save of a user looks like a sign-in, "
            "and ends the links to reset a password.",
            hint="Leave the field to AbstractBaseUser.",
            id="ntc_core.E013",
        )


def _check_pagination() -> Iterator[CheckMessage]:
    path = getattr(settings, "REST_FRAMEWORK", {}).get("DEFAULT_PAGINATION_CLASS")
    ours = "ntc_core.pagination.StandardResultsSetPagination"
    if not path:
        yield Warning(
            "REST_FRAMEWORK['DEFAULT_PAGINATION_CLASS'] is not set: lists have no end.",
            hint=f"Set {ours!r}.",
            id="ntc_core.W022",
        )
        return
    try:
        pagination = import_string(path) if isinstance(path, str) else path
    except ImportError:
        return  # check_names says so
    asks = getattr(pagination, "page_size_query_param", None)
    limits = getattr(pagination, "limit_query_param", None)
    largest = getattr(pagination, "max_limit" if limits else "max_page_size", None)
    if (asks or limits) and largest is None:
        yield Warning(
            f"{pagination.__name__} lets a caller ask for any number of rows.",
            hint=f"Use {ours!r}, or set max_page_size or max_limit.",
            id="ntc_core.W022",
        )


def _check_logging() -> Iterator[CheckMessage]:
    configured: Mapping[str, Any] = settings.LOGGING or {}
    by_root = set(configured.get("root", {}).get("handlers", ()))
    by_root |= set(configured.get("loggers", {}).get("", {}).get("handlers", ()))
    for name, logger in configured.get("loggers", {}).items():
        twice = sorted(by_root & set(logger.get("handlers", ())))
        if name and twice and logger.get("propagate", True):
            yield Warning(
                f"LOGGING: every event of {name!r} comes out twice of {', '.join(twice)}.",
                hint="Leave 'handlers' out there: the root logger has them.",
                id="ntc_core.W023",
            )
    yield from _check_formatters()


def _check_formatters() -> Iterator[CheckMessage]:
    formatters = {
        handler.formatter
        for logger in (logging.root, *logging.Logger.manager.loggerDict.values())
        for handler in getattr(logger, "handlers", ())
        if handler.formatter is not None
    }
    for formatter in sorted(formatters, key=lambda each: type(each).__qualname__):
        record = logging.LogRecord("ntc", logging.INFO, __file__, 1, "%s of %s", (1, 2), None)
        try:
            formatter.format(record)
        except Exception as error:  # noqa: BLE001 - the project's own code: whatever it raises is the finding
            yield Error(
                f"LOGGING: {type(formatter).__qualname__} cannot format an event: "
                f"{type(error).__name__}: {error}",
                hint="Call super().format(record) first; better, use ntc_core.logging.",
                id="ntc_core.E014",
            )


def _check_apps() -> Iterator[CheckMessage]:
    """Look beside the project's own apps for one that nobody installed."""
    installed = {Path(app.path).resolve() for app in apps.get_app_configs()}
    root = _project_folder()
    own = [path for path in installed if root in path.parents and not _PACKAGES & {*path.parts}]
    for folder in sorted({path.parent for path in own} - {root}):
        for path in sorted(file.parent for file in folder.glob("*/apps.py")):
            if path not in installed:
                yield Warning(
                    f"{path.relative_to(root)} has an apps.py and is not installed: its models, "
                    "signals and checks are not there.",
                    hint="Add it to INSTALLED_APPS.",
                    id="ntc_core.W024",
                )


def _project_folder() -> Path:
    module = import_module(settings.ROOT_URLCONF.partition(".")[0])
    return Path(next(iter(getattr(module, "__path__", [module.__file__])))).resolve().parent
