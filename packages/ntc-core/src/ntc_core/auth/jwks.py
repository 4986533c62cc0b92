"""Publish the keys that verify our tokens; with shared secrets there is nothing to publish."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from ntc_core.auth.keys import public_jwks
from ntc_core.auth.tokens import keyring

__all__ = ["jwks"]


# Short: a new key is listed before it signs, and others should have seen it by then.
@require_safe
@cache_control(public=True, max_age=300)
def jwks(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - Django's signature
    """Return the JSON Web Key Set (RFC 7517), not in an envelope: other software reads it."""
    return JsonResponse(public_jwks(keyring()), content_type="application/jwk-set+json")
