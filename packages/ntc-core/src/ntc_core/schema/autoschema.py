"""drf-spectacular's AutoSchema, with the envelope and the errors that can really happen."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter, extend_schema
from rest_framework.pagination import BasePagination, CursorPagination
from rest_framework.permissions import SAFE_METHODS, AllowAny, IsAuthenticated

from ntc_core.envelope import message_for_status
from ntc_core.fields import TextField
from ntc_core.renderers import EnvelopeJSONRenderer
from ntc_core.schema import strict  # noqa: F401 - drf-spectacular finds what is imported
from ntc_core.schema.components import Schema, error_ref, success_ref

__all__ = ["AutoSchema", "documented_errors"]

_ERRORS_EXTENSION = "x-ntc-errors"
_JSON = "application/json"
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.RESET_CONTENT})

_REQUEST_ID_HEADER: Schema = {
    "schema": {"type": "string"},
    "description": "Follows the request through logs and jobs; yours, if you sent a valid one.",
}
_HEADERS_OF_STATUS: dict[int, dict[str, Schema]] = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {"schema": {"type": "string"}, "description": "How to sign in."}
    },
    HTTPStatus.TOO_MANY_REQUESTS: {
        "Retry-After": {
            "schema": {"type": "integer", "minimum": 1},
            "description": "Seconds until the next call may succeed.",
        }
    },
}
_REPLAYED_HEADER: Schema = {
    "schema": {"type": "string", "enum": ["true"]},
    "description": "This is the answer to an earlier call with the same Idempotency-Key.",
}


def _idempotency_key(*, required: bool) -> OpenApiParameter:
    return OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
        OpenApiParameter.HEADER,
        required=required,
        description="A value of your own for this call, such as a UUID. Send the same one again "
        "after a lost answer: you get the same answer, and nothing happens twice.",
    )


ViewT = TypeVar("ViewT", bound=Callable[..., Any])


def documented_errors(*statuses: int) -> Callable[[ViewT], ViewT]:
    """Document statuses that cannot be seen from the outside of a view.

    What comes from authentication, permissions, throttles and input is found without it;
    name here what the services raise: `@documented_errors(401, 409)`.
    """
    decorate: Callable[[ViewT], ViewT] = extend_schema(
        extensions={_ERRORS_EXTENSION: sorted(statuses)}
    )
    return decorate


class AutoSchema(SpectacularAutoSchema):
    """Wrap every JSON answer of a view that renders the envelope; add its errors and headers.

    Files, streams, 204, views with another renderer, callbacks and webhooks stay as they are.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> Schema | None:
        """Return the operation without our own extension."""
        operation: Schema | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            operation.pop(_ERRORS_EXTENSION, None)
        return operation

    def get_override_parameters(self) -> list[Any]:
        """Return the view's own parameters, and the key of a call that is safe to repeat."""
        parameters: list[Any] = super().get_override_parameters()
        if self._is_idempotent():
            parameters = [*parameters, _idempotency_key(required=self._requires_key())]
        return parameters

    def get_paginated_name(self, serializer_name: str) -> str:
        """Name the pages of a cursor apart: their `count` is null."""
        name: str = super().get_paginated_name(serializer_name)
        return f"Cursor{name}" if isinstance(self._paginator(), CursorPagination) else name

    def _map_basic_serializer(self, serializer: Any, direction: Direction) -> Schema:
        """Say of strict input that it has no other fields, and what these are together."""
        schema: Schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]  # half-typed library
        together = getattr(serializer, "json_schema", None)
        if direction == "request" and together is not None:
            schema = {**schema, "additionalProperties": False, **together}
        return schema

    def _insert_field_validators(self, field: Any, schema: Schema) -> None:
        """Let a `TextField` have the last word on what it takes, blank or not."""
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]  # half-typed library
        if not isinstance(field, TextField):
            return
        said, *_ = schema.pop("oneOf", [{}])
        schema.update(said)
        if "pattern" in schema or "format" in schema:  # a request
            schema.update(field.json_schema())

    def _get_response_bodies(self, direction: Direction = "response") -> Schema:
        bodies: Schema = super()._get_response_bodies(direction)
        if direction != "response":
            return bodies
        if self._renders_envelope():
            for status in self._error_statuses():
                if str(status) not in bodies:
                    bodies[str(status)] = self._error_response(status, description="")
        for code, body in bodies.items():
            headers = {"X-Request-ID": _REQUEST_ID_HEADER}
            if self._is_idempotent() and code.startswith("2"):
                headers["Idempotent-Replayed"] = _REPLAYED_HEADER
            if code.isdecimal():
                headers |= _HEADERS_OF_STATUS.get(int(code), {})
            body["headers"] = {**headers, **body.get("headers", {})}
        return dict(sorted(bodies.items()))

    # A private method of drf-spectacular, hence the narrow version range: lists and pages
    # are built inside it, so this is the only place where the envelope goes around both.
    def _get_response_for_code(
        self,
        serializer: Any,
        status_code: str,
        media_types: list[str] | None = None,
        direction: Direction = "response",
    ) -> Schema:
        response: Schema = super()._get_response_for_code(  # type: ignore[no-untyped-call]  # half-typed library
            serializer, status_code, media_types, direction
        )
        if direction != "response" or not self._renders_envelope():
            return response
        code = int(status_code) if str(status_code).isdecimal() else 0
        if code >= HTTPStatus.BAD_REQUEST:
            return self._error_response(code, description=response.get("description", ""))
        if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES and code not in _WITHOUT_BODY:
            self._wrap(response)
        return response

    def _wrap(self, response: Schema) -> None:
        content = response.get("content")
        if content is None:
            # "No response body" is what the view says; the renderer answers data: null.
            response["content"] = {_JSON: {"schema": self._envelope(None)}}
            response["description"] = ""
        elif _JSON in content:
            content[_JSON]["schema"] = self._envelope(content[_JSON]["schema"])
            for example in content[_JSON].get("examples", {}).values():
                if "value" in example:
                    example["value"] = {
                        "status": "success",
                        "message": "Success",
                        "data": example["value"],
                    }

    def _envelope(self, data: Schema | None) -> Schema:
        operation_name = "".join(part.title() for part in self.get_operation_id().split("_"))
        return success_ref(self.registry, data=data, fallback_name=operation_name)

    def _error_response(self, status: int, *, description: str) -> Schema:
        return {
            "content": {_JSON: {"schema": error_ref(self.registry, status)}},
            "description": description or message_for_status(status),
        }

    def _paginator(self) -> BasePagination | None:
        paginator: BasePagination | None = self._get_paginator()  # type: ignore[no-untyped-call]  # half-typed library
        return paginator

    def _is_idempotent(self) -> bool:
        """Tell whether `ntc_core.idempotency` looks after this operation."""
        return self.method == "POST" and getattr(self.view, "is_idempotent", False)

    def _requires_key(self) -> bool:
        return bool(getattr(self.view, "idempotency_key_required", False))

    def _renders_envelope(self) -> bool:
        return any(
            isinstance(renderer, EnvelopeJSONRenderer) for renderer in self.view.get_renderers()
        )

    def _error_statuses(self) -> list[int]:
        """Return the statuses this operation can answer, as seen from the view's policies."""
        authenticators = self.view.get_authenticators()
        permissions = [type(permission) for permission in self.view.get_permissions()]
        requires_sign_in = any(permission is not AllowAny for permission in permissions)
        # A forged Accept header, a NUL in the URL and a bug can happen to every operation.
        statuses = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_ACCEPTABLE}
        statuses.add(HTTPStatus.INTERNAL_SERVER_ERROR)
        if authenticators:
            # Also where anybody may call: a bad token is refused before that is looked at.
            statuses.add(HTTPStatus.UNAUTHORIZED)
        elif requires_sign_in:
            statuses.add(HTTPStatus.FORBIDDEN)
        if any(permission not in (AllowAny, IsAuthenticated) for permission in permissions):
            statuses.add(HTTPStatus.FORBIDDEN)
        guarded = any(getattr(each, "enforces_csrf", False) for each in authenticators)
        if guarded and self.method not in SAFE_METHODS:
            statuses.add(HTTPStatus.FORBIDDEN)
        if "{" in self.path or (self._is_list_view() and self._paginator()):
            statuses.add(HTTPStatus.NOT_FOUND)
        if self.method in _BODY_METHODS:
            statuses |= {
                HTTPStatus.LENGTH_REQUIRED,
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            }
        if self._is_idempotent():
            statuses |= {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
        if self.view.get_throttles():
            statuses.add(HTTPStatus.TOO_MANY_REQUESTS)
        statuses.update(self.get_extensions().get(_ERRORS_EXTENSION, ()))
        return sorted(int(status) for status in statuses)
