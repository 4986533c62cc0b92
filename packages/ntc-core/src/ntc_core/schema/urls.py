"""`/schema/` is the document, `/docs/` the page that shows it."""

from __future__ import annotations

from django.urls import path

from ntc_core.schema.views import DocsView, SchemaView

__all__ = ["urlpatterns"]

urlpatterns = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
]
