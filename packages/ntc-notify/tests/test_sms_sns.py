"""SNS against moto's server, and against a peer that checks SigV4 and misbehaves."""

from __future__ import annotations

import logging
import secrets
import time
from uuid import uuid4

import pytest
from ntc_notify.providers.sms_sns import SnsProvider
from ntc_notify.registry import SMS_PROVIDERS
from ntc_notify.testing import HttpReply
from ntc_notify.types import Outcome, OutgoingSms

from tests import aws_peer
from tests.http_peer import LateReply, run_peer
from tests.moto_peer import run_moto


@pytest.fixture(scope="module")
def moto():
    with run_moto() as server:
        yield server


@pytest.fixture
def sns():
    with run_peer(aws_peer.answer_sns) as peer:
        yield peer


def make_provider(url: str, **options) -> SnsProvider:
    return SnsProvider(
        **{
            "region": aws_peer.REGION,
            "access_key_id": aws_peer.ACCESS_KEY_ID,
            "secret_access_key": aws_peer.SECRET_ACCESS_KEY,
            "endpoint_url": url,
            "timeout_seconds": 5,
        }
        | options
    )


def make_sms(**values) -> OutgoingSms:
    defaults = {"provider_uid": uuid4(), "to": "+255712345678", "text": "Namba yako ni 481516"}
    return OutgoingSms(**defaults | values)


def test_sms_arrives(moto):
    moto.reset()

    outcome = make_provider(moto.url, sender_id="FARAJA").send(
        make_sms(text="Karibu \u2013 asante")
    )

    assert outcome.outcome == Outcome.ACCEPTED
    (kept,) = moto.read("sns")["SMS"]
    assert kept["message_id"] == outcome.provider_ref
    assert kept["phone_number"] == "+255712345678"
    assert kept["message"] == "Karibu \u2013 asante"


def test_number_that_sns_does_not_take_is_refused(moto):
    outcome = make_provider(moto.url).send(make_sms(to="0712345678"))

    assert outcome.outcome == Outcome.REFUSED
    assert not outcome.elsewhere


def test_call_is_signed_and_carries_sender_type_and_price(sns):
    provider = make_provider(
        sns.base_url, sender_id="FARAJA", sms_type="Promotional", max_price_usd="0.30"
    )

    outcome = provider.send(make_sms())

    assert (outcome.outcome, outcome.provider_ref) == (Outcome.ACCEPTED, aws_peer.MESSAGE_ID)
    form = aws_peer.read_form(sns.requests[0])
    assert (form["PhoneNumber"], form["Message"]) == ("+255712345678", "Namba yako ni 481516")
    assert "TopicArn" not in form
    attributes = {
        form[f"MessageAttributes.entry.{number}.Name"]: (
            form[f"MessageAttributes.entry.{number}.Value.DataType"],
            form[f"MessageAttributes.entry.{number}.Value.StringValue"],
        )
        for number in (1, 2, 3)
    }
    assert attributes == {
        "AWS.SNS.SMS.SMSType": ("String", "Promotional"),
        "AWS.SNS.SMS.SenderID": ("String", "FARAJA"),
        "AWS.SNS.SMS.MaxPrice": ("Number", "0.30"),
    }


REFUSE = aws_peer.refuse_sns
INVALID = "Invalid parameter: PhoneNumber Reason: +255712345678 is not valid to publish to"


@pytest.mark.parametrize(
    ("answer", "outcome", "elsewhere", "after"),
    [
        (REFUSE("Throttled", status=429), Outcome.RETRY, False, None),
        (REFUSE("Throttling"), Outcome.RETRY, False, None),
        (REFUSE("KMSThrottling"), Outcome.RETRY, False, None),
        (REFUSE("InternalError", status=500), Outcome.RETRY, False, None),
        (REFUSE("AuthorizationError", status=403), Outcome.RETRY, False, 60),
        (REFUSE("InvalidClientTokenId", status=403), Outcome.RETRY, False, 60),
        (REFUSE("InvalidParameter", message=INVALID), Outcome.REFUSED, False, None),
        (REFUSE("OptedOut"), Outcome.REFUSED, False, None),
        (REFUSE("EndpointDisabled"), Outcome.REFUSED, True, None),
        (HttpReply(status=504, body=b"<html>late</html>"), Outcome.UNKNOWN, False, None),
        (HttpReply(status=500), Outcome.UNKNOWN, False, None),
        (HttpReply(body=b"hello"), Outcome.UNKNOWN, False, None),
        (HttpReply(body=b"<PublishResponse/>"), Outcome.UNKNOWN, False, None),
        (HttpReply(breaks="closed"), Outcome.UNKNOWN, False, None),
    ],
)
def test_answer_is_understood(sns, answer, outcome, elsewhere, after):
    sns.next.append(answer)

    result = make_provider(sns.base_url).send(make_sms())

    assert (result.outcome, result.elsewhere) == (outcome, elsewhere)
    assert result.retry_after_seconds == after
    assert "255712345678" not in result.reason
    assert len(sns.requests) == 1


def test_wrong_key_loses_no_message(sns):
    provider = make_provider(sns.base_url, secret_access_key=secrets.token_hex(20))

    assert provider.send(make_sms()).outcome == Outcome.RETRY


@pytest.mark.parametrize(
    "slow", [LateReply(body=b"<PublishResponse/>", after_seconds=3.0), HttpReply(breaks="drip")]
)
def test_slow_server_is_left_at_the_deadline_and_got_the_message_once(sns, slow):
    provider = make_provider(sns.base_url, timeout_seconds=1)
    provider.send(make_sms())  # the SDK is loaded; it takes a moment
    sns.requests.clear()
    sns.next.append(slow)
    started = time.monotonic()

    result = provider.send(make_sms())

    assert result.outcome == Outcome.UNKNOWN
    assert time.monotonic() - started < 2.5
    assert len(sns.requests) == 1


def test_text_that_sns_would_not_take_is_refused_without_a_call(sns):
    result = make_provider(sns.base_url).send(make_sms(text="x" * 1601))

    assert result.outcome == Outcome.REFUSED
    assert sns.requests == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"sms_type": "transactional"}, "sms_type"),
        ({"sender_id": "FARAJA YANGU"}, "sender_id"),
        ({"sender_id": "12345"}, "sender_id"),
        ({"sender_id": "FARAJAYANGUU"}, "sender_id"),
        ({"max_price_usd": "cheap"}, "max_price_usd"),
        ({"max_price_usd": "-1"}, "max_price_usd"),
        ({"secret_access_key": ""}, "go together"),
    ],
)
def test_wrong_option_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        make_provider("http://127.0.0.1:9", **options)


def test_settings_build_it_by_name(settings):
    settings.NTC_SMS_PROVIDERS = {"sns": {"region": "eu-west-1"}}

    assert isinstance(SMS_PROVIDERS.get("sns"), SnsProvider)


def test_nothing_secret_is_logged_or_shown(sns, caplog):
    with caplog.at_level(logging.DEBUG):
        provider = make_provider(sns.base_url)
        outcome = provider.send(make_sms())

    seen = f"{caplog.text} {provider!r} {outcome!r}"
    for secret in (aws_peer.SECRET_ACCESS_KEY, "255712345678", "481516"):
        assert secret not in seen
