"""Where the tokens of a request come from, and where those of the answer go.

A client that sends the refresh token in the body gets the next one in the body; a browser
that has it in a cookie gets cookies, and no script ever sees a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ntc_core.auth.cookies import (
    access_cookie,
    clear_cookies,
    csrf_cookie,
    refresh_cookie,
    set_cookies,
)
from ntc_core.auth.csrf import require_csrf_token, require_our_page
from ntc_core.auth.tokens import read
from ntc_core.response_wrapper import success_response

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.response import Response
    from rest_framework.serializers import Serializer

    from ntc_core.auth.services import SignedIn

__all__ = ["Presented", "answer_tokens", "drop_cookies", "find_presented", "uses_cookies"]


@dataclass(frozen=True, kw_only=True)
class Presented:
    """A refresh token that a client presents; with the CSRF token if a cookie brought it."""

    refresh: str
    csrf_token: str = ""


def uses_cookies(request: Request) -> bool:
    """Tell whether the caller is known by cookies alone."""
    return bool(access_cookie(request) or refresh_cookie(request))


def find_presented(request: Request, *, in_body: str | None) -> Presented | None:
    """Return the refresh token from the body, else from the cookie, else None.

    Raises:
        CsrfFailed: it is in the cookie, and our own page cannot be shown to have sent it.
        TokenInvalid: what is in the cookie is not a refresh token of ours, or is past its end.
    """
    if in_body is not None:
        return Presented(refresh=in_body)
    cookie = refresh_cookie(request)
    if not cookie:
        return None
    require_our_page(request, strict=True)
    claims = read(cookie, token_type="refresh")  # noqa: S106 - a type, not a secret
    token = require_csrf_token(request, session_uid=claims.session_uid, cookie=csrf_cookie(request))
    return Presented(refresh=cookie, csrf_token=token)


def answer_tokens(
    signed_in: SignedIn,
    *,
    output: type[Serializer[Any]],
    csrf_token: str = "",
    message: str = "Success",
) -> Response:
    """Answer with tokens in the body, or with a CSRF token in cookies and none in the body."""
    data: dict[str, Any] = {
        "session": signed_in.session,
        "access_expires_at": signed_in.access_expires_at,
        "refresh_expires_at": signed_in.refresh_expires_at,
    }
    if csrf_token:
        data["csrf_token"] = csrf_token
    else:
        data |= {"access": signed_in.access, "refresh": signed_in.refresh}
    response = success_response(output(data).data, message, status=HTTPStatus.OK)
    response.headers["Cache-Control"] = "no-store"
    if csrf_token:
        set_cookies(response, signed_in, csrf_token=csrf_token)
    return response


def drop_cookies(request: Request, response: Response) -> Response:
    """Take the cookies out of a browser whose session is over; others have none of ours."""
    if uses_cookies(request):
        clear_cookies(response)
    return response
