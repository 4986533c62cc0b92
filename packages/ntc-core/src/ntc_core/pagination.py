"""Three ways to page through a list, one shape: `{count, next, previous, results}`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from rest_framework import pagination
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

__all__ = [
    "StandardCursorPagination",
    "StandardLimitOffsetPagination",
    "StandardResultsSetPagination",
]

PAGE_SIZE = 20
#: No client gets more rows than this in one answer, whatever it asks for.
MAX_PAGE_SIZE = 100


class StandardResultsSetPagination(pagination.PageNumberPagination):
    """`?page=2&page_size=50`: the default, for lists that people page through."""

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE


class StandardLimitOffsetPagination(pagination.LimitOffsetPagination):
    """`?limit=50&offset=100`: for clients that jump to any place."""

    default_limit = PAGE_SIZE
    max_limit = MAX_PAGE_SIZE


class StandardCursorPagination(pagination.CursorPagination):
    """`?cursor=…`: for long lists that grow while they are read; `count` is always null.

    Counting would cost a scan of the table, which is what a cursor is there to avoid.
    """

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    ordering: Any = ("-created_at", "-id")

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any] | None:
        """Return one page; a cursor that somebody made up is a 404, not an exception."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError, DataError) as error:
            raise NotFound(self.invalid_cursor_message) from error

    def get_paginated_response(self, data: Sequence[Any]) -> Response:
        """Return the common shape."""
        return Response(
            {
                "count": None,
                "next": self.get_next_link(),
                "previous": self.get_previous_link(),
                "results": data,
            }
        )

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe the common shape."""
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {"type": "integer", "nullable": True, "description": "Always null."},
                "next": link,
                "previous": link,
                "results": schema,
            },
        }
