"""Errors to Sentry, without people: NTC_SENTRY_DSN switches it on, the extra `sentry` brings it.

What leaves is the error with its masked text, the lines of code around it, the route and the
request id. Never a body, a header, a cookie, a query, an address, a user or a local variable:
the address of a hosted service is no place for the people of ours.
"""

from __future__ import annotations

import os
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ntc_core.conf import core_settings
from ntc_core.masking import mask_text, mask_value
from ntc_core.request_id import get_request_id

__all__ = ["scrub", "scrub_breadcrumb", "start"]

Event = dict[str, Any]

# Not text of anybody: ids, times and versions that a mask would only spoil.
_KEPT = (
    "environment",
    "event_id",
    "level",
    "modules",
    "platform",
    "release",
    "sdk",
    "timestamp",
    "type",
)
_KEPT_OF_CRUMB = ("category", "level", "timestamp", "type")
# Of contexts: what the SDK itself says about the machine and the trace.
_KEPT_CONTEXTS = ("os", "runtime", "trace")


def start() -> None:
    """Report errors to NTC_SENTRY_DSN; empty: do nothing.

    Raises:
        ImproperlyConfigured: the extra is missing, or the DSN is none.
    """
    if not core_settings.SENTRY_DSN:
        return
    try:
        import sentry_sdk  # noqa: PLC0415 - an extra
        from sentry_sdk.integrations.argv import ArgvIntegration  # noqa: PLC0415 - likewise
        from sentry_sdk.utils import BadDsn  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise ImproperlyConfigured(
            "NTC_SENTRY_DSN is set, and Sentry's library is missing: "
            "pip install 'ntc-core[sentry]'."
        ) from error
    try:
        sentry_sdk.init(
            dsn=core_settings.SENTRY_DSN,
            release=os.environ.get("NTC_COMMIT") or core_settings.PROJECT_VERSION,
            environment=core_settings.SENTRY_ENVIRONMENT,
            # send_default_pii is left out: it is off, and newer versions deprecate the name.
            include_local_variables=False,
            max_request_body_size="never",
            before_send=scrub,  # type: ignore[arg-type]  # an event is a dict
            before_breadcrumb=scrub_breadcrumb,
            # A command line may carry what it likes.
            disabled_integrations=[ArgvIntegration()],
        )
    except BadDsn:
        # Without the library's text, which repeats the DSN: its first half is a key.
        raise ImproperlyConfigured(
            "NTC_SENTRY_DSN cannot be read. Expected https://<key>@<host>/<project>."
        ) from None


def scrub(event: Event, hint: Any = None) -> Event:  # noqa: ARG001 - Sentry passes it
    """Return the event as it may leave."""
    event.pop("user", None)
    request = event.pop("request", None) or {}
    clean = {
        name: value if name in _KEPT else mask_value(name, value) for name, value in event.items()
    }
    clean["contexts"] = {
        name: value if name in _KEPT_CONTEXTS else mask_value(name, value)
        for name, value in (event.get("contexts") or {}).items()
    }
    if request:
        clean["request"] = {
            "method": request.get("method"),
            "url": _without_query(str(request.get("url") or "")),
        }
    if request_id := get_request_id():
        clean["tags"] = {**(clean.get("tags") or {}), "request_id": request_id}
    return clean


def scrub_breadcrumb(crumb: Event, hint: Any = None) -> Event | None:  # noqa: ARG001 - Sentry passes it
    """Return what happened before in words alone; its data are URLs, keys and parameters."""
    message = crumb.get("message")
    if not message:
        return None
    kept = {name: crumb[name] for name in _KEPT_OF_CRUMB if name in crumb}
    return {**kept, "message": mask_text(str(message))}


def _without_query(url: str) -> str:
    return mask_text(url.partition("?")[0])
