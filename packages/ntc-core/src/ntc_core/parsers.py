"""Read a JSON body strictly: what the database or the renderer could not carry is refused here.

orjson refuses NaN, Infinity, text that is not UTF-8 and lone surrogates by itself. We add a
limit of size, a limit of depth and no NUL characters, which PostgreSQL cannot store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import UnreadablePostError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

__all__ = ["MAX_JSON_DEPTH", "StrictJSONParser"]

#: Lists and objects within each other. orjson writes 254 levels; no honest client needs 64.
MAX_JSON_DEPTH = 64


class StrictJSONParser(BaseParser):
    """Parse `application/json`; whatever is wrong with the body is a 400 that says so."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - DRF's signature
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the parsed body.

        Raises:
            ParseError: not JSON, not UTF-8, too deep, with NUL characters, or cut off.
            RequestDataTooBig: longer than DATA_UPLOAD_MAX_MEMORY_SIZE.
        """
        encoding = (parser_context or {}).get("encoding", settings.DEFAULT_CHARSET)
        if str(encoding).lower().replace("_", "-") not in {"utf-8", "utf8"}:
            raise ParseError("JSON must be encoded as UTF-8.")
        body = _read(stream)
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not valid JSON: {error}.") from error
        # Counting brackets is enough to clear nearly every body without a walk.
        if body.count(b"[") + body.count(b"{") > MAX_JSON_DEPTH or b"\\u0000" in body:
            _require_storable(data)
        return data


def _read(stream: IO[Any]) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    try:
        body: bytes = stream.read() if limit is None else stream.read(limit + 1)
    except UnreadablePostError as error:
        raise ParseError("The body was cut off.") from error
    if limit is not None and len(body) > limit:
        raise RequestDataTooBig(f"The body is longer than {limit} bytes.")
    return body


def _require_storable(data: Any) -> None:
    """Walk without recursion: the depth is what we do not trust."""
    level, depth = [data], 0
    while level:
        if depth > MAX_JSON_DEPTH:
            raise ParseError(f"The JSON is nested deeper than {MAX_JSON_DEPTH} levels.")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += value.keys()
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and "\0" in value:
                raise ParseError("The JSON has a NUL character, which cannot be stored.")
        level, depth = below, depth + 1
