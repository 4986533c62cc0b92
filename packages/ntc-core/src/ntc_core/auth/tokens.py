"""The form of a token: a JWT, made and read here and nowhere else.

The only module that knows simplejwt. What a token means (its session, its user) is
`services`' business; here it is a signed set of claims with an end.

Each token names its key (`kid`), so several keys can be valid at once.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token

from ntc_core.auth.conf import auth_settings
from ntc_core.auth.errors import TokenInvalid

__all__ = ["Claims", "hash_jti", "mint", "read", "signing_keys"]

ALGORITHM = "HS256"
# Our header has under 100 characters. The limit keeps what a stranger makes us parse before the
# signature is checked too small to nest deeply: older PyJWT lets that overflow the stack.
_SHAPE = re.compile(r"[\w-]{1,200}\.[\w-]{1,2000}\.[\w-]{1,200}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a token of ours says, once its signature and its times are proven."""

    token_type: str
    subject: str
    session_uid: uuid.UUID
    jti: str
    expires_at: datetime


def mint(
    *, token_type: str, subject: str, session_uid: uuid.UUID, expires_at: datetime
) -> tuple[str, Claims]:
    """Return a signed token and what it says. `token_type` is "access" or "refresh"."""
    token = _TOKEN_CLASSES[token_type]()
    # A JWT counts whole seconds.
    expires_at = expires_at.replace(microsecond=0)
    token["sub"] = subject
    token["sid"] = str(session_uid)
    token["exp"] = int(expires_at.timestamp())
    return str(token), _claims(token)


def read(text: str, *, token_type: str) -> Claims:
    """Prove that we made this token, that it is of this type and has not ended.

    Raises:
        TokenInvalid: for whatever reason; the caller learns no more.
    """
    if not _SHAPE.fullmatch(text):
        raise TokenInvalid
    try:
        # simplejwt's annotation says Token; what it takes is the text.
        token = _TOKEN_CLASSES[token_type](text)  # type: ignore[arg-type]
        return _claims(token)
    except (TokenError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        # Ours by signature, yet not of our shape: an older version, or another audience's key.
        raise TokenInvalid from error


def hash_jti(jti: str) -> str:
    """Return what the database may know of a token's id."""
    return hashlib.sha256(jti.encode()).hexdigest()


def signing_keys() -> tuple[str, ...]:
    """Return the configured keys, the one that signs first.

    Raises:
        ImproperlyConfigured: there is none, and this is not development.
    """
    if auth_settings.JWT_KEYS:
        return tuple(auth_settings.JWT_KEYS)
    if settings.DEBUG:
        return (salted_hmac("ntc_core.auth.tokens", "", algorithm="sha256").hexdigest(),)
    raise ImproperlyConfigured(
        "NTC_JWT_KEYS is empty. Set JWT_KEYS to at least one random secret of 32 bytes or more; "
        "see .env.example."
    )


class _Keyring(TokenBackend):
    """Signs with one key, verifies with the key that the token names."""

    def __init__(self, keys: tuple[str, ...], *, audience: str, issuer: str, leeway: int) -> None:
        super().__init__(
            ALGORITHM, signing_key=keys[0], audience=audience, issuer=issuer, leeway=leeway
        )
        self.keys: Mapping[str, str] = {_key_id(key): key for key in keys}

    def encode(self, payload: dict[str, Any]) -> str:
        claims = {**payload, "aud": self.audience, "iss": self.issuer}
        kid = _key_id(str(self.signing_key))
        return jwt.encode(claims, self.prepared_signing_key, ALGORITHM, headers={"kid": kid})

    def get_verifying_key(self, token: Any) -> Any:
        kid = jwt.get_unverified_header(token).get("kid", "")
        if kid not in self.keys:
            raise jwt.InvalidTokenError("Unknown key.")
        return self._prepare_key(self.keys[kid])


def _key_id(key: str) -> str:
    return hashlib.sha256(b"ntc_core.auth key id:" + key.encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def _keyring(keys: tuple[str, ...], audience: str, issuer: str, leeway: int) -> _Keyring:
    return _Keyring(keys, audience=audience, issuer=issuer, leeway=leeway)


class _Token(Token):
    # simplejwt insists on one; mint() sets the real end.
    lifetime = timedelta(seconds=0)

    def get_token_backend(self) -> TokenBackend:
        return _keyring(
            signing_keys(),
            auth_settings.audience,
            auth_settings.issuer,
            auth_settings.JWT_LEEWAY_SECONDS,
        )


class _AccessToken(_Token):
    token_type = "access"  # noqa: S105 - a type, not a secret


class _RefreshToken(_Token):
    token_type = "refresh"  # noqa: S105 - a type, not a secret


_TOKEN_CLASSES: Mapping[str, type[_Token]] = {"access": _AccessToken, "refresh": _RefreshToken}


def _claims(token: Token) -> Claims:
    return Claims(
        token_type=str(token["token_type"]),
        subject=str(token["sub"]),
        session_uid=uuid.UUID(token["sid"]),
        jti=str(token["jti"]),
        expires_at=datetime.fromtimestamp(token["exp"], tz=UTC),
    )
