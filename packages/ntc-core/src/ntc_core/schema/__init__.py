"""OpenAPI that says what the API answers: the envelope and the errors of every operation.

    REST_FRAMEWORK["DEFAULT_SCHEMA_CLASS"] = "ntc_core.schema.AutoSchema"
    urlpatterns = [*schema_urls, …]          # /schema/ and /docs/

`schema_urls` is made when it is first asked for: its views import REST framework's, which
may be importing this module at that moment.
"""

from __future__ import annotations

from typing import Any

from ntc_core.schema.autoschema import AutoSchema, documented_errors

__all__ = ["AutoSchema", "documented_errors", "schema_urls"]


def __getattr__(name: str) -> Any:
    if name == "schema_urls":
        from ntc_core.schema.urls import urlpatterns  # noqa: PLC0415 - see above

        return urlpatterns
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
