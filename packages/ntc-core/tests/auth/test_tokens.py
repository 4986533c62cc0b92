"""A token is what we signed, of the right type, for the right audience, and not over."""

from __future__ import annotations

import json
import secrets
import uuid
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.core.exceptions import ImproperlyConfigured
from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.tokens import hash_jti, mint, read, signing_keys

SESSION = uuid.uuid4()


def access_token(*, minutes: float = 15, token_type: str = "access") -> str:
    expires_at = datetime.now(tz=UTC) + timedelta(minutes=minutes)
    text, _ = mint(token_type=token_type, subject="42", session_uid=SESSION, expires_at=expires_at)
    return text


def forge(claims: dict[str, Any], **header: Any) -> str:
    """Sign claims of our choice with our own key."""
    good = access_token()
    base = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    payload = {name: value for name, value in {**base, **claims}.items() if value is not None}
    return jwt.encode(payload, signing_keys()[0], "HS256", headers={"kid": kid, **header})


def test_what_was_minted_can_be_read():
    expires_at = datetime.now(tz=UTC) + timedelta(minutes=15)

    text, minted = mint(
        token_type="access", subject="42", session_uid=SESSION, expires_at=expires_at
    )

    assert read(text, token_type="access") == minted
    assert minted.subject == "42"
    assert minted.session_uid == SESSION
    assert minted.expires_at == expires_at.replace(microsecond=0)


def test_token_names_its_key_issuer_and_audience(settings):
    settings.NTC_PROJECT_NAME = "Shop"

    text = access_token()

    claims = jwt.decode(text, options={"verify_signature": False})
    assert claims["iss"] == "Shop"
    assert claims["aud"] == "Shop/api"
    assert jwt.get_unverified_header(text)["kid"]


@pytest.mark.parametrize("name", ["NTC_JWT_ISSUER", "NTC_JWT_AUDIENCE"])
def test_token_of_another_issuer_or_audience_is_refused(settings, name):
    text = access_token()

    setattr(settings, name, "somebody else")

    with pytest.raises(TokenInvalid):
        read(text, token_type="access")


def test_token_of_the_other_type_is_refused():
    with pytest.raises(TokenInvalid):
        read(access_token(token_type="refresh"), token_type="access")
    with pytest.raises(TokenInvalid):
        read(access_token(), token_type="refresh")


def test_token_ends_after_its_time_and_the_leeway():
    text = access_token(minutes=15)

    with time_machine.travel(datetime.now(tz=UTC) + timedelta(minutes=15, seconds=5)):
        assert read(text, token_type="access")
    with (
        time_machine.travel(datetime.now(tz=UTC) + timedelta(minutes=15, seconds=12)),
        pytest.raises(TokenInvalid),
    ):
        read(text, token_type="access")


def test_clock_of_the_machine_that_signed_may_be_a_little_ahead():
    text = access_token(minutes=15)

    with time_machine.travel(datetime.now(tz=UTC) - timedelta(seconds=8)):
        assert read(text, token_type="access")
    with (
        time_machine.travel(datetime.now(tz=UTC) - timedelta(seconds=12)),
        pytest.raises(TokenInvalid),
    ):
        read(text, token_type="access")


def test_old_key_verifies_while_it_is_in_the_keyring(settings):
    old_key, new_key = secrets.token_hex(32), secrets.token_hex(32)
    settings.NTC_JWT_KEYS = [old_key]
    text = access_token()

    settings.NTC_JWT_KEYS = [new_key, old_key]
    assert read(text, token_type="access")
    assert jwt.get_unverified_header(access_token()) != jwt.get_unverified_header(text)

    settings.NTC_JWT_KEYS = [new_key]
    with pytest.raises(TokenInvalid):
        read(text, token_type="access")


@pytest.mark.parametrize(
    "claims",
    [
        {"sid": "not-a-uuid"},
        {"sid": 7},
        {"sid": None},
        {"sub": None},
        {"jti": None},
        {"exp": None},
        {"iat": None},
        {"auth_time": None},
        {"token_type": None},
        {"aud": None},
        {"iss": None},
        {"exp": 10**30},
        {"exp": "soon"},
    ],
    ids=str,
)
def test_token_with_a_missing_or_senseless_claim_is_refused(claims):
    with pytest.raises(TokenInvalid):
        read(forge(claims), token_type="access")


def test_token_with_another_kid_is_refused():
    with pytest.raises(TokenInvalid):
        read(forge({}, kid="other"), token_type="access")


def segment(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        "…",
        "\ud800.\ud800.\ud800",
        "\x00",
        "a" * 10_000,
        "[" * 100_000,
        ".".join([segment({"alg": "none", "typ": "JWT"}), segment({"sub": "1"}), ""]),
        ".".join([urlsafe_b64encode(b"[" * 5001).decode(), "e30", "AA"]),
        ".".join([urlsafe_b64encode(b"[" * 140).decode().rstrip("="), "e30", "AA"]),
        ".".join([segment({"alg": "HS256", "kid": 7}), "e30", "AA"]),
        ".".join([segment({"alg": "HS256", "kid": ["a"]}), "e30", "AA"]),
        ".".join([segment({"alg": "HS256"}), "e30", "AA"]),
        ".".join([segment([]), "e30", "AA"]),
    ],
    ids=lambda text: ascii(text)[:30],
)
def test_nonsense_is_refused_and_breaks_nothing(text):
    with pytest.raises(TokenInvalid):
        read(text, token_type="access")


def test_changed_claims_are_refused():
    header, payload, signature = access_token().split(".")
    claims = json.loads(jwt.utils.base64url_decode(payload))

    forged = ".".join([header, segment({**claims, "sub": "1"}), signature])

    with pytest.raises(TokenInvalid):
        read(forged, token_type="access")


def test_another_algorithm_with_our_key_is_refused():
    good = access_token()
    claims = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)

    forged = jwt.encode(claims, signing_keys()[0] * 2, "HS512", headers={"kid": header["kid"]})

    with pytest.raises(TokenInvalid):
        read(forged, token_type="access")


def test_without_keys_nothing_is_signed_outside_development(settings):
    settings.NTC_JWT_KEYS = []

    with pytest.raises(ImproperlyConfigured, match="JWT_KEYS"):
        access_token()


def test_in_development_a_key_is_derived_and_is_not_the_secret_key(settings):
    settings.NTC_JWT_KEYS = []
    settings.DEBUG = True

    assert read(access_token(), token_type="access")
    assert settings.SECRET_KEY not in signing_keys()


def test_jti_hash_does_not_show_the_jti():
    assert "abc" not in hash_jti("abc")
    assert hash_jti("abc") != hash_jti("abd")
