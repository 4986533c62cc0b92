"""The mixin that makes a view's POST safe to repeat."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from rest_framework.response import Response

from ntc_core.envelope import Envelope
from ntc_core.idempotency.errors import HEADER, KeyRequired
from ntc_core.idempotency.services import Answer, answer_once, fingerprint_of, read_key
from ntc_core.renderers import encode_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from rest_framework.request import Request
    from rest_framework.views import APIView

    _Base = APIView
else:
    _Base = object

__all__ = ["IdempotencyMixin"]

#: Headers of an answer that a client may act upon.
_KEPT_HEADERS = ("Location",)


class IdempotencyMixin(_Base):
    """Answer a repeated POST with the same `Idempotency-Key` as the first, with one effect.

    Put it before the view class. It comes after authentication, permissions and throttles, and
    everything the handler writes is in one transaction with the answer, so the handler must not
    call another company, nor rely on what it wrote before it raises.

    Attributes:
        idempotency_key_required: refuse a POST without a key; for what moves money.
    """

    idempotency_key_required = False
    #: Read by `ntc_core.schema`.
    is_idempotent = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Wrap the handler of this one request."""
        super().initial(request, *args, **kwargs)
        if request.method != "POST":
            return
        given = request.headers.get(HEADER)
        if given is None:
            if self.idempotency_key_required:
                raise KeyRequired(attr=HEADER)
            return
        key = read_key(given)
        handler: Callable[..., Response] = getattr(self, "post", self.http_method_not_allowed)
        # Of this instance, for a view serves one request; DRF looks the handler up after this.
        self.__dict__["post"] = partial(self._post_once, handler, key)

    def _post_once(
        self,
        handler: Callable[..., Response],
        key: str,
        request: Request,
        *args: Any,
        **kwargs: Any,
    ) -> Response:
        user = request.user
        signed_in = user is not None and user.is_authenticated
        answer, repeated = answer_once(
            owner=f"user:{user.pk}" if signed_in else "anonymous",
            key=key,
            fingerprint=fingerprint_of(
                method="POST", path=request.get_full_path(), data=request.data
            ),
            call=lambda: _answer_of(handler(request, *args, **kwargs)),
        )
        response = Response(_data_of(answer), status=answer.status, headers=answer.headers)
        if repeated:
            response["Idempotent-Replayed"] = "true"
        return response


def _answer_of(response: Response) -> Answer:
    body = encode_json({"envelope": isinstance(response.data, Envelope), "data": response.data})
    headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
    return Answer(status=response.status_code, body=body.decode(), headers=headers)


def _data_of(answer: Answer) -> Any:
    """Return the data as the renderer takes it: the first answer and the others are one text."""
    stored = orjson.loads(answer.body)
    data = stored["data"]
    return Envelope(data) if stored["envelope"] else data
