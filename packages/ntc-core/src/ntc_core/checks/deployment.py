"""What is convenient on a developer's machine and dangerous in public. All of it: --deploy."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name

from ntc_core.checks.names import reads_simple_jwt
from ntc_core.conf import core_settings

__all__ = ["check_public_service"]

MIB = 1024 * 1024
#: A JSON document is smaller; a file that a form brings is counted apart, and goes to disk.
_LARGEST_BODY_BYTES = 16 * MIB
_MOST_FIELDS = 10_000
_MOST_FILES = 1_000
# HS256 wants at least as many bytes as its digest has (RFC 7518, 3.2).
_SHORTEST_KEY_BYTES = 32
#: Reserved names (RFC 2606): whoever lets this origin in lets in everybody's.
_A_STRANGERS_ORIGIN = "https://stranger.example"
_PUBLISHED_KEY = re.compile(
    r"insecure|change[-_ ]?(?:me|this|it)|your[-_ ]?(?:own|secret|key)|secret[-_ ]?key|placeholder"
    r"|default|example",
    re.IGNORECASE,
)
_KEPT_HERE = ("console", "dummy", "filebased", "locmem")


@register(Tags.security, deploy=True)
def check_public_service(**_: Any) -> list[CheckMessage]:
    """Check what strangers reach, and what keeps them from the rest."""
    return [
        *_check_cors(),
        *_check_secret_key(),
        *_check_simple_jwt(),
        *_check_proxies(),
        *_check_cookies(),
        *_check_csrf_origins(),
        *_check_upload_limits(),
        *_check_email_backend(),
        *_check_time_zones(),
        *_check_settings_module(),
        *_check_sentry(),
    ]


def _check_cors() -> Iterator[CheckMessage]:
    if not apps.is_installed("corsheaders") or not _cors("CORS_ALLOW_CREDENTIALS"):
        return
    patterns = _cors("CORS_ALLOWED_ORIGIN_REGEXES", "CORS_ORIGIN_REGEX_WHITELIST") or ()
    if _cors("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL") or any(
        re.match(pattern, _A_STRANGERS_ORIGIN) for pattern in patterns
    ):
        yield Error(
            "CORS_ALLOW_CREDENTIALS with pages of any origin: every site can read what the API "
            "shows to whoever visits that site.",
            hint="Name the front ends in CORS_ALLOWED_ORIGINS.",
            id="ntc_core.E011",
        )


def _cors(name: str, old_name: str = "") -> Any:
    return getattr(settings, name, getattr(settings, old_name, None) if old_name else None)


def _check_secret_key() -> Iterator[CheckMessage]:
    if _PUBLISHED_KEY.search(settings.SECRET_KEY):
        yield Error(
            "SECRET_KEY reads like the default of a template, which everybody knows.",
            hint="Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(64))'",
            id="ntc_core.E012",
        )
    same = [
        name
        for name in dir(settings)
        if name != "SECRET_KEY"
        and name.endswith(("KEY", "SECRET"))
        and getattr(settings, name) == settings.SECRET_KEY
    ]
    if reads_simple_jwt() and _signing_key() == settings.SECRET_KEY:
        same.append("SIMPLE_JWT['SIGNING_KEY']")
    for name in same:
        yield Warning(
            f"{name} is SECRET_KEY: neither can be changed alone, and who learns one has both.",
            hint=f"Give {name} a value of its own.",
            id="ntc_core.W007",
        )


def _check_simple_jwt() -> Iterator[CheckMessage]:
    if not reads_simple_jwt():
        return
    configured = _simple_jwt()
    is_shared = str(configured.get("ALGORITHM", "HS256")).startswith("HS")
    if is_shared and len(_signing_key().encode()) < _SHORTEST_KEY_BYTES:
        yield Warning(
            f"SIMPLE_JWT['SIGNING_KEY'] has fewer than {_SHORTEST_KEY_BYTES} bytes: it can be "
            "found by trying.",
            hint="Make one with: openssl rand -hex 32",
            id="ntc_core.W008",
        )
    blacklists = apps.is_installed("rest_framework_simplejwt.token_blacklist")
    rotates = configured.get("ROTATE_REFRESH_TOKENS", False)
    if not (rotates and blacklists and configured.get("BLACKLIST_AFTER_ROTATION", False)):
        yield Warning(
            "A refresh token can be spent again and again: SIMPLE_JWT does not rotate it, or does "
            "not put the old one on the blacklist.",
            hint="Use ntc_core.auth, whose refresh tokens are spent once.",
            id="ntc_core.W009",
        )


def _simple_jwt() -> Mapping[str, Any]:
    return getattr(settings, "SIMPLE_JWT", None) or {}


def _signing_key() -> str:
    return str(_simple_jwt().get("SIGNING_KEY", settings.SECRET_KEY))


def _check_proxies() -> Iterator[CheckMessage]:
    has_proxies = bool(core_settings.TRUSTED_PROXY_COUNT)
    believed = {
        "SECURE_PROXY_SSL_HEADER": settings.SECURE_PROXY_SSL_HEADER,
        "USE_X_FORWARDED_HOST": settings.USE_X_FORWARDED_HOST,
        "USE_X_FORWARDED_PORT": settings.USE_X_FORWARDED_PORT,
    }
    names = [name for name, value in believed.items() if value]
    if names and not has_proxies:
        yield Warning(
            f"{', '.join(names)} believes a header that anybody can send, for "
            "NTC_TRUSTED_PROXY_COUNT is 0.",
            hint="Say how many proxies of yours stand in front, the last of which has to set the "
            "header itself; or remove the setting.",
            id="ntc_core.W010",
        )
    if has_proxies and not settings.SECURE_PROXY_SSL_HEADER:
        yield Warning(
            "NTC_TRUSTED_PROXY_COUNT says that a proxy stands in front, and without "
            "SECURE_PROXY_SSL_HEADER every request through it counts as plain http.",
            hint="Set SECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https').",
            id="ntc_core.W011",
        )


def _check_cookies() -> Iterator[CheckMessage]:
    for name in ("SESSION_COOKIE_SAMESITE", "CSRF_COOKIE_SAMESITE"):
        value = getattr(settings, name)
        if str(value).lower() not in {"lax", "strict"}:
            yield Warning(
                f"{name} is {value!r}: other sites' pages can send calls with the cookie.",
                hint=f"Set {name} = 'Lax'.",
                id="ntc_core.W012",
            )


def _check_csrf_origins() -> Iterator[CheckMessage]:
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        parts = urlsplit(origin)
        is_everybodys = "*" in parts.netloc and "." not in parts.netloc.removeprefix("*.")
        if parts.scheme == "http" or is_everybodys:
            yield Warning(
                f"CSRF_TRUSTED_ORIGINS has {origin!r}: a page that somebody else can put there "
                "may post in the name of who visits it.",
                hint="Write it as https://app.example.com.",
                id="ntc_core.W013",
            )


def _check_upload_limits() -> Iterator[CheckMessage]:
    limits = {
        "DATA_UPLOAD_MAX_MEMORY_SIZE": _LARGEST_BODY_BYTES,
        "FILE_UPLOAD_MAX_MEMORY_SIZE": _LARGEST_BODY_BYTES,
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": _MOST_FIELDS,
        "DATA_UPLOAD_MAX_NUMBER_FILES": _MOST_FILES,
    }
    for name, most in limits.items():
        value = getattr(settings, name)
        if value is None or value > most:
            yield Warning(
                f"{name} is {value!r}: a few requests fill the memory of the service.",
                hint=f"Set at most {most:_}. Large files go to the storage directly.",
                id="ntc_core.W014",
            )


def _check_email_backend() -> Iterator[CheckMessage]:
    backend: str = settings.EMAIL_BACKEND
    if backend in {f"django.core.mail.backends.{name}.EmailBackend" for name in _KEPT_HERE}:
        yield Warning(
            f"EMAIL_BACKEND is {backend!r}: no email leaves this machine.",
            hint="Set 'ntc_notify.mail_backend.EmailBackend', or Django's smtp.EmailBackend.",
            id="ntc_core.W015",
        )


def _check_time_zones() -> Iterator[CheckMessage]:
    zone = settings.TIME_ZONE
    others = {
        f"DATABASES[{alias!r}]['TIME_ZONE']": options.get("TIME_ZONE")
        for alias, options in settings.DATABASES.items()
    }
    others["CELERY_TIMEZONE"] = getattr(settings, "CELERY_TIMEZONE", None)
    for name, other in others.items():
        if other and other != zone:
            yield Warning(
                f"{name} is {other!r} and TIME_ZONE is {zone!r}.",
                hint="Keep one zone everywhere, UTC; convert where a person reads.",
                id="ntc_core.W016",
            )
    if not settings.USE_TZ:
        yield Warning(
            "USE_TZ is False: stored times do not say which zone they are of.",
            hint="Set USE_TZ = True.",
            id="ntc_core.W016",
        )


def _check_settings_module() -> Iterator[CheckMessage]:
    module = str(getattr(settings, "SETTINGS_MODULE", ""))
    if module.endswith(".base"):
        yield Warning(
            f"The settings are {module}, which development and production share.",
            hint="Set DJANGO_SETTINGS_MODULE to those of production.",
            id="ntc_core.W017",
        )


def _check_sentry() -> Iterator[CheckMessage]:
    # Only a project that reports to Sentry has loaded it.
    sentry = sys.modules.get("sentry_sdk")
    if sentry is None:
        return
    options = sentry.get_client().options
    # Newer versions ask for each kind of data; the older name then fills that in.
    collected = options.get("data_collection") or {}
    if options.get("send_default_pii") or collected.get("user_info"):
        yield Warning(
            "Sentry takes personal data: addresses, cookies and bodies of our people.",
            hint="Set NTC_SENTRY_DSN and leave sentry_sdk.init() to ntc_core; or leave "
            "send_default_pii and data_collection out.",
            id="ntc_core.W018",
        )
