"""The keys of tokens: one signs, all verify, and each says by its form what it can do.

    NTC_JWT_KEYS = [
        "5f0c…",                            # any secret text: HS256
        "-----BEGIN PRIVATE KEY-----…",     # Ed25519: EdDSA, RSA: RS256
        "-----BEGIN PUBLIC KEY-----…",      # verifies only
    ]

The first signs. Every key has an id (`kid`) that follows from it, so a token names the key,
and the key, never the token, decides the algorithm.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured

__all__ = ["ALGORITHMS", "Key", "make_key", "parse_key", "parse_keys", "public_jwks"]

ALGORITHMS = ("HS256", "EdDSA", "RS256")
_PEM = "-----BEGIN "
_RSA_BITS = 3072


@dataclass(frozen=True, kw_only=True, eq=False)
class Key:
    """One entry of NTC_JWT_KEYS, ready for use."""

    kid: str
    algorithm: str
    verifying: Any
    #: None: it verifies what an older configuration signed, and signs nothing itself.
    signing: Any
    #: The public half as a JSON Web Key (RFC 7517); None for a shared secret.
    jwk: dict[str, str] | None = None


def parse_keys(texts: Sequence[str]) -> tuple[Key, ...]:
    """Return the keys in their order.

    Raises:
        ImproperlyConfigured: one cannot be read.
    """
    return tuple(parse_key(text) for text in texts)


@lru_cache(maxsize=32)
def parse_key(text: str) -> Key:
    """Return the key that this text is.

    Raises:
        ImproperlyConfigured: it looks like a PEM and is not an Ed25519 or RSA key, or the
            library for those is not installed.
    """
    # Panels and .env files often cannot hold line breaks.
    text = text.replace("\\n", "\n").strip()
    if not text.startswith(_PEM):
        kid = hashlib.sha256(b"ntc_core.auth key id:" + text.encode()).hexdigest()[:16]
        return Key(kid=kid, algorithm="HS256", verifying=text, signing=text)
    return _asymmetric(text.encode())


def public_jwks(keys: Sequence[Key]) -> dict[str, list[dict[str, str]]]:
    """Return the public halves as a JSON Web Key Set; shared secrets have none."""
    return {"keys": [key.jwk for key in keys if key.jwk is not None]}


def make_key(algorithm: str) -> str:
    """Return a new random key, as text for NTC_JWT_KEYS."""
    if algorithm == "HS256":
        return secrets.token_urlsafe(48)
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa  # noqa: PLC0415 - likewise

    private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    if algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _asymmetric(pem: bytes) -> Key:
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa  # noqa: PLC0415 - likewise

    try:
        if b"PUBLIC KEY" in pem.splitlines()[0]:
            private, public = None, serialization.load_pem_public_key(pem)
        else:
            private = serialization.load_pem_private_key(pem, password=None)
            public = private.public_key()
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(
            "NTC_JWT_KEYS has a PEM that cannot be read. Expected an Ed25519 or RSA key without "
            "a passphrase."
        ) from error
    if isinstance(public, ed25519.Ed25519PublicKey):
        algorithm, members = (
            "EdDSA",
            {"crv": "Ed25519", "kty": "OKP", "x": _b64(public.public_bytes_raw())},
        )
    elif isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        algorithm = "RS256"
        members = {"e": _b64_number(numbers.e), "kty": "RSA", "n": _b64_number(numbers.n)}
        if public.key_size < 2048:  # noqa: PLR2004 - NIST SP 800-131A
            raise ImproperlyConfigured("NTC_JWT_KEYS has an RSA key of fewer than 2048 bits.")
    else:
        raise ImproperlyConfigured(
            "NTC_JWT_KEYS has a PEM of another kind. Expected an Ed25519 or RSA key."
        )
    # The thumbprint of RFC 7638: the same for both halves.
    thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode())
    kid = _b64(thumbprint.digest())
    jwk = {**members, "kid": kid, "use": "sig", "alg": algorithm}
    return Key(kid=kid, algorithm=algorithm, verifying=public, signing=private, jwk=jwk)


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise ImproperlyConfigured(
            "An Ed25519 or RSA key needs the extra: pip install 'ntc-core[asymmetric]'."
        ) from error


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _b64_number(number: int) -> str:
    return _b64(number.to_bytes((number.bit_length() + 7) // 8, "big"))
