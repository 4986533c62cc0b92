"""How the OpenAPI document describes our authentication."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS

from ntc_core.auth.cookies import cookie_name
from ntc_core.auth.csrf import HEADER

__all__ = ["BY_BODY_OR_COOKIE", "BY_COOKIE", "CSRF_HEADER", "JWTScheme"]

#: What a view without authenticators may be called with.
BY_COOKIE: Any = [{"refreshCookie": []}]
BY_BODY_OR_COOKIE: Any = [{}, {"refreshCookie": [], "csrfHeader": []}]
CSRF_HEADER = OpenApiParameter(
    HEADER,
    location=OpenApiParameter.HEADER,
    description="Required with `transport: cookie`. There is no token yet: any value will do.",
)


class JWTScheme(OpenApiAuthenticationExtension):
    """A bearer token, or the access cookie; with the cookie, unsafe calls need the header too."""

    target_class = "ntc_core.auth.authentication.JWTAuthentication"
    name = ["bearer", "accessCookie", "refreshCookie", "csrfHeader"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """Return the two ways in; what stands in one of them is required together."""
        by_cookie: dict[str, list[Any]] = {"accessCookie": []}
        if auto_schema.method not in SAFE_METHODS:
            by_cookie["csrfHeader"] = []
        return [{"bearer": []}, by_cookie]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - its signature
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            {"type": "apiKey", "in": "cookie", "name": cookie_name("access")},
            {"type": "apiKey", "in": "cookie", "name": cookie_name("refresh")},
            {
                "type": "apiKey",
                "in": "header",
                "name": HEADER,
                "description": "The `csrf_token` of the sign-in, with every unsafe call by cookie.",
            },
        ]
