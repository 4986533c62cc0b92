"""What S3 does with a signature, by the tests' own code.

Written from "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" and "Create
a signed AWS API request" (docs.aws.amazon.com). It imports neither the code under test nor the SDK.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

UNSIGNED = "UNSIGNED-PAYLOAD"


class Fault(Exception):
    """S3's code for what is wrong with a signature."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a request says of its own signature."""

    scheme: str
    credential: str
    names: list[str]
    signature: str
    moment: str
    payload: str
    seconds: int
    query: list[tuple[str, str]]


def find_fault(
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Mapping[str, str],
    region: str,
    now: datetime | None = None,
) -> str:
    """Return S3's code for what is wrong with a request's signature; "" if nothing is.

    Args:
        target: path and query as they were sent.
        headers: as they were sent.
        secrets: access key id -> secret access key.
    """
    headers = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    url = urlsplit(target)
    try:
        claim = _read_claim(url.query, headers)
        _check_claim(claim, headers, body, now=now or datetime.now(UTC))
        _check_signature(claim, method, url.path, headers, secrets=secrets, region=region)
    except Fault as fault:
        return str(fault)
    return ""


def _read_claim(query_text: str, headers: Mapping[str, str]) -> Claim:
    query = parse_qsl(query_text, keep_blank_values=True)
    if "authorization" in headers:
        scheme, _, rest = headers["authorization"].partition(" ")
        said = dict(part.strip().split("=", 1) for part in rest.split(","))
        return Claim(
            scheme=scheme,
            credential=said["Credential"],
            names=said["SignedHeaders"].split(";"),
            signature=said["Signature"],
            moment=headers["x-amz-date"],
            payload=headers["x-amz-content-sha256"],
            seconds=15 * 60,
            query=query,
        )
    said = dict(query)
    if "X-Amz-Signature" not in said:
        raise Fault("AccessDenied")
    return Claim(
        scheme=said["X-Amz-Algorithm"],
        credential=said["X-Amz-Credential"],
        names=said["X-Amz-SignedHeaders"].split(";"),
        signature=said["X-Amz-Signature"],
        moment=said["X-Amz-Date"],
        payload=UNSIGNED,
        seconds=int(said["X-Amz-Expires"]),
        query=[(name, value) for name, value in query if name != "X-Amz-Signature"],
    )


def _check_claim(claim: Claim, headers: Mapping[str, str], body: bytes, *, now: datetime) -> None:
    began = datetime.strptime(claim.moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    is_now = began - timedelta(minutes=15) <= now <= began + timedelta(seconds=claim.seconds)
    # Every x-amz header that is sent has to be signed, or anybody could add one.
    added = {name for name in headers if name.startswith("x-amz-")} - set(claim.names)
    if not is_now or claim.seconds > 7 * 24 * 60 * 60 or "host" not in claim.names or added:
        raise Fault("AccessDenied")
    if claim.payload not in {UNSIGNED, hashlib.sha256(body).hexdigest()}:
        raise Fault("XAmzContentSHA256Mismatch")


def _check_signature(
    claim: Claim,
    method: str,
    path: str,
    headers: Mapping[str, str],
    *,
    secrets: Mapping[str, str],
    region: str,
) -> None:
    key_id, *scope = claim.credential.split("/")
    if key_id not in secrets:
        raise Fault("InvalidAccessKeyId")
    place = [claim.moment[:8], region, "s3", "aws4_request"]
    if claim.scheme != "AWS4-HMAC-SHA256" or scope != place:
        raise Fault("AuthorizationHeaderMalformed")
    canonical = "\n".join(
        [
            method,
            quote(path, safe="/-_.~%"),
            "&".join(f"{_escape(name)}={_escape(value)}" for name, value in sorted(claim.query)),
            *(f"{name}:{headers.get(name, '')}" for name in claim.names),
            "",
            ";".join(claim.names),
            claim.payload,
        ]
    )
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join([claim.scheme, claim.moment, "/".join(scope), digest])
    key = f"AWS4{secrets[key_id]}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, claim.signature):
        raise Fault("SignatureDoesNotMatch")


def _escape(text: str) -> str:
    return quote(text, safe="-_.~")
