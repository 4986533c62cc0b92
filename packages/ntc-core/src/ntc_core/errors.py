"""The errors that reach a caller: a stable code, an HTTP status, a sentence that helps.

Raise them from services; `ntc_core.exceptions` turns them into the response envelope.
Plain Python: a provider or a script may use them without Django.
"""

from __future__ import annotations

__all__ = [
    "Conflict",
    "InvalidInput",
    "NotAuthenticated",
    "NotFound",
    "NtcError",
    "PermissionRefused",
    "RateLimited",
    "Unavailable",
    "Unprocessable",
]


class NtcError(Exception):
    """Say what is wrong, what was expected and what to do, under a stable `code`.

    Attributes:
        code: stable machine-readable word; clients may branch on it.
        http_status: the status of the HTTP response.
        message: the sentence a person reads; never a secret, never a full phone number.
        attr: the input field at fault, dotted for nested input, or None.
    """

    code = "error"
    http_status = 400
    message = "The request could not be carried out."

    def __init__(
        self, message: str | None = None, *, code: str | None = None, attr: str | None = None
    ) -> None:
        self.message = message or self.message
        self.code = code or self.code
        self.attr = attr
        super().__init__(self.message)


class InvalidInput(NtcError):
    """A value is malformed or out of range; `attr` names it."""

    code = "invalid"
    message = "The input is not valid."


class NotAuthenticated(NtcError):
    """Nobody, or nobody we can trust, is signed in."""

    code = "not_authenticated"
    http_status = 401
    message = "Sign in first."


class PermissionRefused(NtcError):
    """The caller is known and may not do this."""

    code = "permission_denied"
    http_status = 403
    message = "You do not have permission to do this."


class NotFound(NtcError):
    """The thing is not there, or not the caller's to see."""

    code = "not_found"
    http_status = 404
    message = "Not found."


class Conflict(NtcError):
    """The thing is in a state that does not allow this now."""

    code = "conflict"
    http_status = 409
    message = "This cannot be done in the present state."


class Unprocessable(NtcError):
    """The input is well-formed but contradicts something known."""

    code = "unprocessable"
    http_status = 422
    message = "The request contradicts an earlier one."


class RateLimited(NtcError):
    """Too many calls; `retry_after_seconds` becomes the Retry-After header."""

    code = "throttled"
    http_status = 429
    message = "Too many requests. Wait before trying again."

    def __init__(
        self,
        message: str | None = None,
        *,
        retry_after_seconds: int,
        code: str | None = None,
        attr: str | None = None,
    ) -> None:
        super().__init__(message, code=code, attr=attr)
        self.retry_after_seconds = retry_after_seconds
        #: Further response headers that describe the limit.
        self.headers: dict[str, str] = {}


class Unavailable(NtcError):
    """Something we depend on does not answer; the same request may work later."""

    code = "unavailable"
    http_status = 503
    message = "The service is not available right now. Try again shortly."
