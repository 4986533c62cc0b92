"""How the OpenAPI document describes our authentication."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

__all__ = ["JWTScheme"]


class JWTScheme(OpenApiAuthenticationExtension):
    """A bearer token, made by `auth/login/`."""

    target_class = "ntc_core.auth.authentication.JWTAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
