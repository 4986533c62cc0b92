"""The document and its page; everything the page loads comes from this host."""

from __future__ import annotations

from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

__all__ = ["DocsView", "SchemaView"]


class SchemaView(SpectacularAPIView):
    """The OpenAPI document: JSON, or YAML to `Accept: application/yaml`. Never in an envelope."""

    renderer_classes = [
        OpenApiJsonRenderer2,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer,
        OpenApiYamlRenderer,
    ]


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI. Its script is a request of its own, so a strict CSP does not break it."""

    url_name = "schema"
