"""Plain Django views: no session, no sign-in, no throttle, and no database for `live`."""

from __future__ import annotations

import logging
import os
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from ntc_core.conf import core_settings
from ntc_core.envelope import success_envelope
from ntc_core.exceptions import json_error
from ntc_core.health.probes import PartHealth, ask_parts
from ntc_core.renderers import encode_json

__all__ = ["live", "ready"]

log = logging.getLogger("ntc_core.health")


@csrf_exempt
@never_cache
@require_safe
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - Django passes it
    """Answer that the process runs, and which version of it."""
    return _answer(
        {
            "status": "ok",
            "version": core_settings.PROJECT_VERSION,
            "commit": os.environ.get("NTC_COMMIT", ""),
        }
    )


@csrf_exempt
@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 when everything a request needs answers, else 503.

    Which part is down is nobody's business but the log's, and that of staff signed in to the
    admin.
    """
    parts = ask_parts()
    if not all(part.is_up for part in parts):
        return json_error(HTTPStatus.SERVICE_UNAVAILABLE, message="Not ready.")
    data: dict[str, object] = {"status": "ok"}
    if _is_staff(request):
        data["parts"] = {part.name: _described(part) for part in parts}
    return _answer(data)


def _described(part: PartHealth) -> dict[str, object]:
    return {"is_up": part.is_up, "duration_ms": part.duration_ms}


def _is_staff(request: HttpRequest) -> bool:
    # Everything is up by now, so the session may be looked up.
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_active and user.is_staff)


def _answer(data: dict[str, object]) -> HttpResponse:
    return HttpResponse(encode_json(success_envelope(data)), content_type="application/json")
