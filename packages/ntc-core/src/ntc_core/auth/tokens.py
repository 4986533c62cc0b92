"""The form of a token: a JWT, made and read here and nowhere else.

The only module that knows simplejwt. What a token means (its session, its user) is
`services`' business; here it is a signed set of claims with an end.

Each token names its key (`kid`), so several keys can be valid at once.
"""

from __future__ import annotations

import hashlib
import re
import secrets
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
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenError
from rest_framework_simplejwt.tokens import Token

from ntc_core.auth.conf import auth_settings
from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.keys import Key, parse_keys

__all__ = [
    "Claims",
    "access_jti",
    "hash_jti",
    "keyring",
    "mint",
    "new_jti",
    "next_jti",
    "read",
    "signing_keys",
]

# Our header has under 130 characters. The limit keeps what a stranger makes us parse before the
# signature is checked too small to nest deeply: older PyJWT lets that overflow the stack. The
# longest signature is that of an RSA key of 8192 bits.
_SHAPE = re.compile(r"[\w-]{1,200}\.[\w-]{1,2000}\.[\w-]{1,1366}", re.ASCII)
_REQUIRED_CLAIMS = ("iss", "aud", "sub", "sid", "jti", "iat", "exp", "auth_time", "token_type")


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a token of ours says, once its signature and its times are proven."""

    token_type: str
    subject: str
    session_uid: uuid.UUID
    jti: str
    issued_at: datetime
    expires_at: datetime


def mint(
    *,
    token_type: str,
    subject: str,
    session_uid: uuid.UUID,
    expires_at: datetime,
    issued_at: datetime | None = None,
    jti: str | None = None,
    auth_time: datetime | None = None,
    session_expires_at: datetime | None = None,
) -> tuple[str, Claims]:
    """Return a signed token and what it says. `token_type` is "access" or "refresh".

    The same arguments, `jti` and `issued_at` among them, give the same token: HS256, EdDSA and
    RS256 signatures are deterministic.
    """
    token = _TOKEN_CLASSES[token_type]()
    issued_at = issued_at or datetime.now(tz=UTC)
    token["sub"] = subject
    token["sid"] = str(session_uid)
    token["jti"] = jti or new_jti()
    # A JWT counts whole seconds.
    token["iat"] = int(issued_at.timestamp())
    token["exp"] = int(expires_at.timestamp())
    token["auth_time"] = int((auth_time or issued_at).timestamp())
    if session_expires_at is not None:
        token["session_exp"] = int(session_expires_at.timestamp())
    return str(token), _claims(token)


def read(text: str, *, token_type: str) -> Claims:
    """Prove that we made this token, that it is of this type and has not ended.

    Raises:
        TokenInvalid: for whatever reason; the caller learns no more.
    """
    if not _SHAPE.fullmatch(text):
        raise TokenInvalid
    try:
        token = _TOKEN_CLASSES[token_type](text)  # type: ignore[arg-type]  # it takes the text, whatever its annotation says
        return _claims(token)
    except (TokenError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        # Ours by signature, yet not of our shape: an older version, or another audience's key.
        raise TokenInvalid from error


def new_jti() -> str:
    """Return a random id for the first refresh token of a session."""
    return secrets.token_hex(32)


def next_jti(jti: str) -> str:
    """Return the id of the one token that may follow this one.

    It takes the id itself, which no database row has; `hash_jti` is of no use for it.
    """
    return hashlib.sha256(b"ntc_core.auth next:" + jti.encode()).hexdigest()


def access_jti(jti: str) -> str:
    """Return the id of the access token that comes with this refresh token."""
    return hashlib.sha256(b"ntc_core.auth access:" + jti.encode()).hexdigest()


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


def keyring() -> tuple[Key, ...]:
    """Return the keys, the one that signs first.

    Raises:
        ImproperlyConfigured: there is none, one cannot be read, or the first cannot sign.
    """
    keys = parse_keys(signing_keys())
    if keys[0].signing is None:
        raise ImproperlyConfigured(
            "The first of NTC_JWT_KEYS is a public key. Put the key that signs in front."
        )
    return keys


class _Backend(TokenBackend):
    """Signs with one key, verifies with the key that the token names."""

    def __init__(
        self, keys: tuple[Key, ...], *, audience: str, issuer: str, leeway_seconds: int
    ) -> None:
        super().__init__(keys[0].algorithm, audience=audience, issuer=issuer, leeway=leeway_seconds)
        self.signer = keys[0]
        self.keys: Mapping[str, Key] = {key.kid: key for key in keys}

    def encode(self, payload: dict[str, Any]) -> str:
        claims = {**payload, "aud": self.audience, "iss": self.issuer}
        signer = self.signer
        return jwt.encode(claims, signer.signing, signer.algorithm, headers={"kid": signer.kid})

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - simplejwt's signature
        try:
            key = self.keys[jwt.get_unverified_header(token).get("kid", "")]
            # The key decides the algorithm: a token that claims another one is refused.
            payload: dict[str, Any] = jwt.decode(
                token,
                key.verifying,
                algorithms=[key.algorithm],
                audience=self.audience,
                issuer=self.issuer,
                leeway=self.get_leeway(),
                options={"require": list(_REQUIRED_CLAIMS)},
            )
        except (jwt.InvalidTokenError, KeyError) as error:
            raise TokenBackendError("Token is invalid") from error
        return payload


@lru_cache(maxsize=8)
def _backend(keys: tuple[Key, ...], audience: str, issuer: str, leeway_seconds: int) -> _Backend:
    return _Backend(keys, audience=audience, issuer=issuer, leeway_seconds=leeway_seconds)


class _Token(Token):
    # simplejwt insists on one; mint() sets the real end.
    lifetime = timedelta(seconds=0)

    def get_token_backend(self) -> TokenBackend:
        return _backend(
            keyring(),
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
        issued_at=datetime.fromtimestamp(token["iat"], tz=UTC),
        expires_at=datetime.fromtimestamp(token["exp"], tz=UTC),
    )
