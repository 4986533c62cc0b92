"""Keys: which may sign, which only verify, how one follows the other, what is published."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import stat
import time
import uuid
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from ntc_core.auth import services
from ntc_core.auth.checks import check_keys
from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.keys import make_key, parse_key
from ntc_core.auth.tokens import mint, read
from ntc_core.testing import assert_success

SECRET = secrets.token_hex(32)
ED25519 = make_key("EdDSA")
RSA = make_key("RS256")


def private_pem(key: Any, *, passphrase: bytes = b"") -> str:
    encryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    ).decode()


def public_half(pem: str) -> str:
    key = serialization.load_pem_private_key(pem.encode(), password=None).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def token() -> str:
    text, _ = mint(
        token_type="access",
        subject="42",
        session_uid=uuid.uuid4(),
        expires_at=datetime.now(tz=UTC) + timedelta(minutes=15),
    )
    return text


@pytest.mark.parametrize(
    ("key", "algorithm"), [(SECRET, "HS256"), (ED25519, "EdDSA"), (RSA, "RS256")]
)
def test_key_decides_the_algorithm_and_the_token_names_the_key(settings, key, algorithm):
    settings.NTC_JWT_KEYS = [key]

    text = token()

    header = jwt.get_unverified_header(text)
    assert header == {"alg": algorithm, "typ": "JWT", "kid": parse_key(key).kid}
    assert read(text, token_type="access").subject == "42"


@pytest.mark.parametrize("key", [SECRET, ED25519, RSA], ids=["HS256", "EdDSA", "RS256"])
def test_loser_gets_the_same_bytes_whatever_the_algorithm(settings, signed_in, person, key):
    settings.NTC_JWT_KEYS = [key]
    first = services.sign_in(user=person)

    second = services.refresh(refresh_token=first.refresh)
    again = services.refresh(refresh_token=first.refresh)

    assert (again.access, again.refresh) == (second.access, second.refresh)


def test_line_breaks_may_be_written_as_in_an_env_file(settings):
    settings.NTC_JWT_KEYS = [ED25519.replace("\n", "\\n")]

    text = token()

    settings.NTC_JWT_KEYS = [ED25519]
    assert read(text, token_type="access")


def test_public_key_verifies_and_does_not_sign(settings):
    settings.NTC_JWT_KEYS = [ED25519]
    text = token()

    settings.NTC_JWT_KEYS = [SECRET, public_half(ED25519)]
    assert read(text, token_type="access")
    assert check_keys() == []

    settings.NTC_JWT_KEYS = [public_half(ED25519)]
    assert [problem.id for problem in check_keys()] == ["ntc_auth.E002"]


@pytest.mark.parametrize("key", [ED25519, RSA], ids=["EdDSA", "RS256"])
def test_public_key_is_no_hmac_secret(settings, key):
    """The classic confusion: sign with the text everybody knows, and call it HS256."""
    settings.NTC_JWT_KEYS = [key]
    good = token()
    payload = good.split(".")[1]
    header = {"alg": "HS256", "typ": "JWT", "kid": parse_key(key).kid}
    start = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    message = f"{start}.{payload}"
    mac = hmac.digest(public_half(key).encode(), message.encode(), hashlib.sha256)

    forged = f"{message}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    with pytest.raises(TokenInvalid):
        read(forged, token_type="access")


def test_kid_of_a_secret_does_not_open_a_token_signed_otherwise(settings):
    settings.NTC_JWT_KEYS = [SECRET, ED25519]
    claims = jwt.decode(token(), options={"verify_signature": False})
    private = serialization.load_pem_private_key(ED25519.encode(), password=None)

    mixed = jwt.encode(claims, private, "EdDSA", headers={"kid": parse_key(SECRET).kid})

    with pytest.raises(TokenInvalid):
        read(mixed, token_type="access")
    right = jwt.encode(claims, private, "EdDSA", headers={"kid": parse_key(ED25519).kid})
    assert read(right, token_type="access")


@pytest.mark.parametrize(
    "pem",
    [
        "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
        private_pem(ec.generate_private_key(ec.SECP256R1())),
        private_pem(ec.generate_private_key(ec.SECP256R1()), passphrase=b"not-a-real-one"),
        private_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505 - too short on purpose
    ],
    ids=["nonsense", "empty", "elliptic", "with a passphrase", "1024 bits"],
)
def test_unusable_pem_stops_the_start_up(settings, pem):
    settings.NTC_JWT_KEYS = [pem]

    with pytest.raises(ImproperlyConfigured, match="NTC_JWT_KEYS"):
        token()
    assert [problem.id for problem in run_checks(tags=["security"])] == ["ntc_auth.E002"]


def test_key_that_stands_there_twice_is_a_mistake(settings):
    settings.NTC_JWT_KEYS = [ED25519, public_half(ED25519)]

    assert [problem.id for problem in check_keys()] == ["ntc_auth.E005"]


def test_jwks_of_secrets_is_empty(client):
    response = client.get("/.well-known/jwks.json")

    assert response.status_code == 200
    assert response.json() == {"keys": []}
    assert client.post("/.well-known/jwks.json").status_code == 405


@pytest.mark.parametrize("key", [ED25519, RSA], ids=["EdDSA", "RS256"])
def test_jwks_is_enough_to_verify_our_tokens(settings, client, key):
    settings.NTC_JWT_KEYS = [key, SECRET]
    text = token()

    response = client.get("/.well-known/jwks.json")

    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert SECRET not in response.content.decode()
    (published,) = response.json()["keys"]
    assert "d" not in published
    jwks = jwt.PyJWKSet.from_dict(response.json())
    verified = jwt.decode(
        text,
        jwks[jwt.get_unverified_header(text)["kid"]],
        algorithms=[published["alg"]],
        audience="NTC/api",
        issuer="NTC",
    )
    assert verified["sub"] == "42"


def rotate(*arguments: str) -> list[str]:
    output = StringIO()
    call_command("rotate_jwt_keys", *arguments, stdout=output, stderr=StringIO())
    return [key.strip() for key in output.getvalue().split(",") if key.strip()]


@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA"])
def test_rotation_signs_nobody_out(settings, api_client, person, algorithm, caplog):
    """At every step a process with the list before understands one with the list after."""
    signed_in = services.sign_in(user=person)
    refresh = signed_in.refresh
    lists = [settings.NTC_JWT_KEYS]
    for step in ("add", "promote", "retire"):
        settings.NTC_JWT_KEYS = lists[-1]
        # Nothing but the file tells when the new key was promoted.
        force = ["--force"] if step == "retire" else []
        lists.append(rotate(step, "--algorithm", algorithm, *force))
        for keys in (lists[-1], lists[-2], lists[-1]):
            settings.NTC_JWT_KEYS = keys
            response = api_client.post("/api/v1/auth/refresh/", {"refresh": refresh})
            refresh = assert_success(response)["refresh"]

    assert jwt.get_unverified_header(refresh)["alg"] == algorithm
    assert len(lists[-1]) == 1
    assert lists[-1] != lists[0]
    assert not any(key[:40] in caplog.text for key in lists[-1])


@pytest.mark.django_db
def test_rotation_rewrites_the_file_and_guards_the_old_key(tmp_path: Path):
    file = tmp_path / "keys"
    file.write_text(f"{SECRET}\n")

    rotate("add", "--file", str(file), "--algorithm", "EdDSA")
    rotate("promote", "--file", str(file))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first, second = (key.strip() for key in file.read_text().split(","))
    assert parse_key(first).algorithm == "EdDSA"
    assert second == SECRET
    with pytest.raises(CommandError, match=r"14\.0 days"):
        rotate("retire", "--file", str(file))
    assert SECRET in file.read_text()

    fifteen_days_ago = time.time() - 15 * 24 * 3600
    os.utime(file, (fifteen_days_ago, fifteen_days_ago))
    rotate("retire", "--file", str(file))
    assert SECRET not in file.read_text()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.django_db
def test_rotation_says_what_is_wrong(tmp_path: Path):
    file = tmp_path / "keys"
    with pytest.raises(CommandError, match="cannot be read"):
        rotate("add", "--file", str(file))
    file.write_text(SECRET)
    with pytest.raises(CommandError, match="Begin with add"):
        rotate("promote", "--file", str(file))
    file.write_text("-----BEGIN PUBLIC KEY-----")
    with pytest.raises(CommandError, match="NTC_JWT_KEYS"):
        rotate("add", "--file", str(file))
    file.write_text(f"{SECRET},{ED25519}")
    rotate("retire", "--file", str(file), "--force")
    assert file.read_text().strip() == SECRET


def test_retiring_without_the_file_says_when_it_is_safe(settings):
    settings.NTC_JWT_KEYS = (SECRET, ED25519)
    with pytest.raises(CommandError, match=r"14 days.*--force"):
        rotate("retire")
