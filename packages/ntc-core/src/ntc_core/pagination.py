"""Three ways to page through a list, one shape: `{count, next, previous, results}`.

A parameter that is no number is a 400 that names it; REST framework would go on with the default.
A page or cursor that is not there is a 404 that names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError
from rest_framework import pagination
from rest_framework.exceptions import NotFound as NotFoundByFramework
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from ntc_core.errors import NotFound

__all__ = [
    "StandardCursorPagination",
    "StandardLimitOffsetPagination",
    "StandardResultsSetPagination",
]

PAGE_SIZE = 20
#: No client gets more rows than this in one answer, whatever it asks for.
MAX_PAGE_SIZE = 100

_WHOLE_NUMBER = re.compile(r"[0-9]+")


class StandardResultsSetPagination(pagination.PageNumberPagination):
    """`?page=2&page_size=50`: the default, for lists that people page through."""

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    last_page_strings = ()

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any] | None:
        """Return one page; one beyond the end is a 404 that names `page`."""
        _require_numbers(request, {"page": 1, "page_size": 1})
        try:
            return super().paginate_queryset(queryset, request, view)
        except NotFoundByFramework as error:
            raise NotFound("There is no such page.", attr="page") from error

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe what is accepted."""
        parameters = super().get_schema_operation_parameters(view)
        return _with_minimum(parameters, {"page": 1, "page_size": 1})


class StandardLimitOffsetPagination(pagination.LimitOffsetPagination):
    """`?limit=50&offset=100`: for clients that jump to any place."""

    default_limit = PAGE_SIZE
    max_limit = MAX_PAGE_SIZE

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any] | None:
        """Return one page."""
        _require_numbers(request, {"limit": 1, "offset": 0})
        return super().paginate_queryset(queryset, request, view)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe what is accepted."""
        parameters = super().get_schema_operation_parameters(view)
        return _with_minimum(parameters, {"limit": 1, "offset": 0})


class StandardCursorPagination(pagination.CursorPagination):
    """`?cursor=…`: for long lists that grow while they are read; `count` is always null.

    Counting would cost a scan of the table, which is what a cursor is there to avoid.
    """

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    ordering: Any = ("-created_at", "-id")

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list[Any] | None:
        """Return one page; a cursor that somebody made up is a 404 that names `cursor`."""
        _require_numbers(request, {"page_size": 1})
        try:
            return super().paginate_queryset(queryset, request, view)
        except (NotFoundByFramework, ValueError, DjangoValidationError, DataError) as error:
            raise NotFound("There is no such cursor.", attr="cursor") from error

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

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe what is accepted."""
        parameters = super().get_schema_operation_parameters(view)
        return _with_minimum(parameters, {"page_size": 1})


def _require_numbers(request: Request, minimums: dict[str, int]) -> None:
    """Refuse a parameter that is not a whole number, or is too small."""
    errors = {
        name: [f"Enter a whole number of at least {minimum}."]
        for name, minimum in minimums.items()
        for text in request.query_params.getlist(name)
        if not _WHOLE_NUMBER.fullmatch(text) or (minimum and not text.strip("0"))
    }
    if errors:
        raise ValidationError(errors)


def _with_minimum(
    parameters: list[dict[str, Any]], minimums: dict[str, int]
) -> list[dict[str, Any]]:
    for parameter in parameters:
        if parameter["name"] in minimums:
            parameter["schema"] = {**parameter["schema"], "minimum": minimums[parameter["name"]]}
    return parameters
