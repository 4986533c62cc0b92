"""Settings that nothing reads, and dotted paths that lead nowhere: both fail in silence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.utils.module_loading import import_string, module_has_submodule

from ntc_core.conf import AppSettings, rest_framework_defaults, spectacular_defaults

__all__ = ["check_names", "reads_simple_jwt"]

#: Setting -> the module that reads it, and what it calls its defaults.
_DICTS = {
    "REST_FRAMEWORK": ("rest_framework.settings", "DEFAULTS"),
    "SIMPLE_JWT": ("rest_framework_simplejwt.settings", "DEFAULTS"),
    "SPECTACULAR_SETTINGS": ("drf_spectacular.settings", "SPECTACULAR_DEFAULTS"),
}
_OURS = {*rest_framework_defaults(), *spectacular_defaults(title="", version="")}
_SIMPLE_JWT = "rest_framework_simplejwt"
#: Older names that django-cors-headers still reads where the newer one is not set.
_OLD_CORS_NAMES = {
    "CORS_ORIGIN_ALLOW_ALL": "CORS_ALLOW_ALL_ORIGINS",
    "CORS_ORIGIN_WHITELIST": "CORS_ALLOWED_ORIGINS",
    "CORS_ORIGIN_REGEX_WHITELIST": "CORS_ALLOWED_ORIGIN_REGEXES",
}


@register(Tags.security)
def check_names(**_: Any) -> list[CheckMessage]:
    """Check the names of settings, and the dotted paths in those of REST framework."""
    found: list[CheckMessage] = []
    for setting, (module, defaults) in _DICTS.items():
        configured = getattr(settings, setting, None)
        if configured:
            found += _check_dict(setting, configured, import_module(module), defaults)
    return [*found, *_check_simple_jwt(), *_check_cors_names(), *_check_ntc_names()]


def reads_simple_jwt() -> bool:
    """Tell whether simplejwt itself judges tokens; `ntc_core.auth` does not ask it."""
    classes = getattr(settings, "REST_FRAMEWORK", {}).get("DEFAULT_AUTHENTICATION_CLASSES", [])
    return any(str(path).startswith(f"{_SIMPLE_JWT}.") for path in classes)


def _check_dict(
    setting: str, configured: Mapping[str, Any], module: Any, defaults: str
) -> Iterator[CheckMessage]:
    # What our own defaults set may be for newer versions than this one.
    known = {*getattr(module, defaults), *_OURS}
    for key, value in configured.items():
        if key not in known:
            yield Warning(
                f"{setting}[{key!r}] is read by nothing.",
                hint=_instead(key, known),
                id="ntc_core.W003",
            )
        # simplejwt's views import their serializers by themselves.
        elif key in module.IMPORT_STRINGS or key.endswith("_SERIALIZER"):
            yield from _check_paths(f"{setting}[{key!r}]", value)


def _check_paths(place: str, value: Any) -> Iterator[CheckMessage]:
    paths = value if isinstance(value, list | tuple) else [value]
    for path in paths:
        if not isinstance(path, str):
            continue
        try:
            import_string(path)
        except ImportError as error:
            yield Error(
                f"{place} names {path!r}, which cannot be imported: {error}",
                hint="Mend the path, or leave the key out.",
                id="ntc_core.E010",
            )


def _check_simple_jwt() -> list[CheckMessage]:
    is_set = bool(getattr(settings, "SIMPLE_JWT", None))
    if not is_set or reads_simple_jwt() or not apps.is_installed("ntc_core.auth"):
        return []
    return [
        Warning(
            "SIMPLE_JWT has no effect: ntc_core.auth makes and judges the tokens.",
            hint="Remove it. Set NTC_JWT_KEYS, NTC_ACCESS_TOKEN_SECONDS and "
            "NTC_REFRESH_TOKEN_SECONDS instead.",
            id="ntc_core.W006",
        )
    ]


def _check_cors_names() -> list[CheckMessage]:
    names = _names_that_start_with("CORS_")
    if not names:
        return []
    if not apps.is_installed("corsheaders"):
        return [
            Warning(
                f"{', '.join(names)}: read by nothing, for corsheaders is not installed.",
                hint="Add 'corsheaders' to INSTALLED_APPS and its middleware to MIDDLEWARE.",
                id="ntc_core.W004",
            )
        ]
    # Comes with the app, which is the project's to install.
    known = set(dir(import_module("corsheaders.conf").Settings))
    unknown = [name for name in names if name not in known and name not in _OLD_CORS_NAMES]
    return [
        *(_unknown(name, known, "ntc_core.W004") for name in unknown),
        *_check_overridden_cors_names(names),
    ]


def _check_overridden_cors_names(names: Collection[str]) -> Iterator[CheckMessage]:
    for old, new in _OLD_CORS_NAMES.items():
        if old in names and new in names:
            yield Warning(
                f"{old} is read by nothing where {new} is set.",
                hint=f"Move what it says to {new}.",
                id="ntc_core.W004",
            )


def _check_ntc_names() -> list[CheckMessage]:
    names = _names_that_start_with("NTC_")
    for app in apps.get_app_configs():
        # Declares the settings of that app.
        if module_has_submodule(app.module, "conf"):
            import_module(f"{app.name}.conf")
    known = {f"NTC_{name}" for each in _subclasses(AppSettings) for name in dir(each)}
    return [_unknown(name, known, "ntc_core.W005") for name in names if name not in known]


def _subclasses(base: type[AppSettings]) -> Iterator[type[AppSettings]]:
    for each in base.__subclasses__():
        yield each
        yield from _subclasses(each)


def _names_that_start_with(prefix: str) -> list[str]:
    return [name for name in dir(settings) if name.startswith(prefix) and name.isupper()]


def _unknown(name: str, known: Iterable[str], check_id: str) -> CheckMessage:
    return Warning(f"{name} is read by nothing.", hint=_instead(name, known), id=check_id)


def _instead(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, [each for each in known if each.isupper()], n=1)
    return f"Did you mean {near[0]}? Else remove it." if near else "Remove it."
