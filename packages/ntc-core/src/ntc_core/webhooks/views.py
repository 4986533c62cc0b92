"""The door for companies: prove, store, acknowledge. What it means is a job's business.

The order is a promise: size cap, bounded read, the raw bytes, the provider, the proof,
one short transaction (row + job), the answer. Nothing is stored before the proof, and
nothing that is acknowledged can get lost.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import IO, Any, TypeVar

from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.generic import View

from ntc_core.conf import core_settings
from ntc_core.errors import NtcError, Unavailable
from ntc_core.exceptions import json_error
from ntc_core.failpoints import failpoint
from ntc_core.webhooks import services
from ntc_core.webhooks.types import (
    AnswerUnreadable,
    SignatureInvalid,
    WebhookRequest,
    WebhookVerifier,
)

__all__ = ["WebhookView"]

log = logging.getLogger(__name__)

_Opened = TypeVar("_Opened")

READ_SIZE = 64 * 1024
RETRY_AFTER_SECONDS = 30


class PayloadTooLarge(NtcError):
    """More bytes than any event has."""

    code = "too_large"
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    message = "The body is too large."


class NotProven(NtcError):
    """Nothing proves that the company sent this. Says no more than that."""

    code = "signature_invalid"
    http_status = HTTPStatus.UNAUTHORIZED
    message = "The signature is missing or wrong."


class BodyUnreadable(NtcError):
    """The body was cut off, or is not what the company documents."""

    code = "invalid"
    message = "The body could not be read."


class WebhookView(View):
    """Take the webhooks of one channel. A package subclasses it with three things.

    Attributes:
        channel: `"payments"`, `"notify"`: the first half of an event's identity.
        job: name of the outbox job that is called with the id of a new event.
    """

    channel: str
    job: str
    http_method_names = ["post"]

    def get_verifier(self, provider_slug: str) -> WebhookVerifier:
        """Return the provider of that path, or raise `NotFound`."""
        raise NotImplementedError

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """Return the view without CSRF check (companies have no cookie) or request transaction."""
        view = super().as_view(**initkwargs)
        view.csrf_exempt = True  # type: ignore[attr-defined]  # Django's own protocol
        return transaction.non_atomic_requests(view)

    def http_method_not_allowed(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        *_args: Any,
        **_kwargs: Any,
    ) -> HttpResponse:
        """Answer 405 in the common shape."""
        response = _unlogged(json_error(HTTPStatus.METHOD_NOT_ALLOWED))
        response["Allow"] = ", ".join(method.upper() for method in self.http_method_names)
        return response

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer; what is refused is refused in the common shape, whatever the method."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except NtcError as error:
            return _refuse(error)
        except (OperationalError, InterfaceError) as error:
            # Not taken: the company sends it again.
            log.exception("webhook.database_unavailable", extra={"error": type(error).__name__})
            response = _refuse(Unavailable())
            response["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return response

    def post(self, request: HttpRequest, provider: str, **_: str) -> HttpResponse:
        """Take one delivery. What else the path names is in `self.kwargs`."""
        return self.take(request, provider)

    def take(self, request: HttpRequest, provider_slug: str) -> HttpResponse:
        """Prove, store and acknowledge. To override where a company wants more than that."""
        call = self.read_call(request)
        name = provider_slug.partition("-")[0]
        verifier = self.get_verifier(provider_slug)
        verified = self.prove(verifier.open_webhook, call=call, name=name)
        event, is_new = services.receive_event(
            channel=self.channel, provider=name, job=self.job, request=call, verified=verified
        )
        failpoint("webhook.committed")
        log.info(
            "webhook.received" if is_new else "webhook.duplicate",
            extra={
                "channel": self.channel,
                "provider": name,
                "event_type": event.event_type,
                "event_uid": str(event.uid),
            },
        )
        ack = verified.ack
        return HttpResponse(ack.body, status=ack.status, content_type=ack.content_type)

    def read_call(self, request: HttpRequest) -> WebhookRequest:
        """Return the call with its raw body, which is refused where it is too large."""
        body = _read_body(request, core_settings.WEBHOOK_MAX_BYTES)
        return _as_webhook_request(request, body)

    def prove(
        self, open_call: Callable[[WebhookRequest], _Opened], *, call: WebhookRequest, name: str
    ) -> _Opened:
        """Return what the provider makes of the call, or refuse it: 401 unproven, 400 unread."""
        try:
            return open_call(call)
        except SignatureInvalid as error:
            self._log_refused("webhook.forged", name, call, error)
            raise NotProven from error
        except AnswerUnreadable as error:
            self._log_refused("webhook.unreadable", name, call, error)
            raise BodyUnreadable from error

    def _log_refused(self, message: str, name: str, call: WebhookRequest, error: Exception) -> None:
        log.warning(
            message,
            extra={
                "channel": self.channel,
                "provider": name,
                # Enough to recognise a repetition, nothing of the content.
                "body_sha256": hashlib.sha256(call.body).hexdigest()[:16],
                "body_bytes": len(call.body),
                "error": type(error).__name__,
            },
        )


def _read_body(request: HttpRequest, limit: int) -> bytes:
    """Return the raw body without ever holding more than `limit` bytes and a bit."""
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > limit:
        raise PayloadTooLarge
    stream = _body_stream(request, announced)
    body = bytearray()
    try:
        while chunk := stream.read(min(READ_SIZE, limit + 1 - len(body))):
            body += chunk
            if len(body) > limit:
                raise PayloadTooLarge
    except (UnreadablePostError, OSError) as error:
        raise BodyUnreadable from error
    return bytes(body)


def _body_stream(request: HttpRequest, announced: int) -> IO[bytes]:
    """Return where the body comes from, also when it comes in chunks without a length.

    Django reads Content-Length bytes, so nothing where there is none, even from a server
    that promises (by wsgi.input_terminated) to end the stream with the body.
    """
    if not announced and request.META.get("wsgi.input_terminated"):
        stream: IO[bytes] = request.META["wsgi.input"]
        return stream
    return request  # type: ignore[return-value]  # HttpRequest has the read() we use


def _as_webhook_request(request: HttpRequest, body: bytes) -> WebhookRequest:
    return WebhookRequest(
        method=request.method or "",
        path=request.path,
        headers={name.lower(): value for name, value in request.headers.items()},
        query={name: request.GET[name] for name in request.GET},
        body=body,
        received_at=timezone.now(),
    )


def _refuse(error: NtcError) -> HttpResponse:
    return _unlogged(json_error(error.http_status, code=error.code, message=error.message))


def _unlogged(response: HttpResponse) -> HttpResponse:
    # Django would log the path, and for companies that do not sign the path is the secret.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    return response
