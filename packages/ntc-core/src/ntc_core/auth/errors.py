"""What goes wrong when people sign in. Every sentence is the same whoever asks."""

from __future__ import annotations

from ntc_core.errors import InvalidInput, NotAuthenticated, PermissionRefused

__all__ = [
    "CodeInvalid",
    "CredentialsInvalid",
    "CsrfFailed",
    "SignInTooOld",
    "TokenInvalid",
]


class CredentialsInvalid(NotAuthenticated):
    """Unknown, inactive or wrong password: nobody learns which."""

    code = "invalid_credentials"
    message = "The sign-in name or the password is wrong."


class TokenInvalid(NotAuthenticated):
    """Forged, expired, of the wrong type, spent, or its session is over."""

    code = "token_invalid"
    message = "The token is not valid any more. Sign in again."


class CsrfFailed(PermissionRefused):
    """A call with cookies that our own front end cannot be shown to have made."""

    code = "csrf_failed"
    message = "The CSRF token is missing or wrong. Ask auth/csrf/ for one, or sign in again."


class SignInTooOld(PermissionRefused):
    """What is asked for needs a password that was typed a moment ago."""

    code = "sign_in_too_old"
    message = "Sign in again to do this."


class CodeInvalid(InvalidInput):
    """Wrong, expired, replaced, used, or tried too often: nobody learns which."""

    code = "code_invalid"
    message = "The code is wrong or no longer valid. Check it, or ask for a new one."
