"""SMS by Azure's REST interface against a peer that checks the HMAC and misbehaves."""

from __future__ import annotations

import base64
import json
import logging
import secrets
import socket
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from ntc_notify.providers.sms_azure import AzureSmsProvider
from ntc_notify.registry import SMS_PROVIDERS
from ntc_notify.testing import HttpReply
from ntc_notify.types import Outcome, OutgoingSms

from tests.acs_peer import ACCESS_KEY, Acs, as_json, refuse
from tests.http_peer import LateReply, run_peer


@pytest.fixture
def acs() -> Acs:
    return Acs()


@pytest.fixture
def peer(acs):
    with run_peer(acs.answer) as running:
        yield running


def make_provider(url: str, **options) -> AzureSmsProvider:
    defaults = {"endpoint": url, "access_key": ACCESS_KEY, "sender": "FARAJA", "timeout_seconds": 5}
    return AzureSmsProvider(**defaults | options)


def make_sms(**values) -> OutgoingSms:
    defaults = {"provider_uid": uuid4(), "to": "+255712345678", "text": "Namba yako ni 481516"}
    return OutgoingSms(**defaults | values)


def make_batch(size: int, text: str = "Karibu") -> list[OutgoingSms]:
    return [make_sms(to=f"+2557120{number:05}", text=text) for number in range(size)]


def test_sms_is_taken_under_our_own_id(peer):
    sms = make_sms(text="Karibu \u2013 asante")

    outcome = make_provider(peer.base_url).send(sms)

    assert (outcome.outcome, outcome.provider_ref) == (Outcome.ACCEPTED, "Outgoing_0_noam")
    content = json.loads(peer.requests[0].body)
    (recipient,) = content.pop("smsRecipients")
    assert content == {
        "from": "FARAJA",
        "message": sms.text,
        "smsSendOptions": {"enableDeliveryReport": True, "tag": str(sms.provider_uid)},
    }
    assert recipient["to"] == sms.to
    assert recipient["repeatabilityRequestId"] == str(sms.provider_uid)


def test_second_call_under_one_id_is_the_same_sms(acs, peer):
    """The SDK would invent a new id for it, and the phone would ring twice."""
    provider, sms = make_provider(peer.base_url), make_sms()

    first, second = provider.send(sms), provider.send(sms)

    assert first == second
    assert len(acs.results) == 1


def test_repeated_call_tells_when_the_first_was_made(peer):
    first_sent_at = datetime(2026, 11, 20, 8, 0, 1, 250000, tzinfo=UTC)

    make_provider(peer.base_url).send(make_sms(first_sent_at=first_sent_at))

    (recipient,) = json.loads(peer.requests[0].body)["smsRecipients"]
    assert recipient["repeatabilityFirstSent"] == "Fri, 20 Nov 2026 08:00:01 GMT"


def test_batch_of_one_text_is_one_call(acs, peer):
    batch = make_batch(100)

    outcomes = make_provider(peer.base_url).send_batch(batch)

    assert [outcome.outcome for outcome in outcomes] == [Outcome.ACCEPTED] * 100
    assert len({outcome.provider_ref for outcome in outcomes}) == 100
    (call,) = peer.requests
    # One tag would have to name a hundred.
    assert "tag" not in json.loads(call.body)["smsSendOptions"]


def test_every_recipient_of_a_batch_has_a_result_of_its_own(acs, peer):
    batch = make_batch(5)
    acs.numbers = {
        batch[1].to: {"successful": False, "httpStatusCode": 400, "errorMessage": "Invalid To."},
        batch[2].to: {"successful": False, "httpStatusCode": 429, "messageId": None},
        batch[3].to: {"successful": False, "httpStatusCode": 503},
        batch[4].to: {"to": "+255700000000"},
    }

    outcomes = make_provider(peer.base_url).send_batch(batch)

    assert [outcome.outcome for outcome in outcomes] == [
        Outcome.ACCEPTED,
        Outcome.REFUSED,
        Outcome.RETRY,
        Outcome.RETRY,
        Outcome.UNKNOWN,
    ]
    assert outcomes[1].reason == "HTTP 400 Invalid To."


def test_texts_of_a_batch_are_not_mixed_up(peer):
    """A call has one text; two people may get different ones, and one person the same twice."""
    asha, juma = "+255712345678", "+255754000111"
    batch = [
        make_sms(to=asha, text="one"),
        make_sms(to=asha, text="two"),
        make_sms(to=juma, text="one"),
        make_sms(to=asha, text="one"),
    ]

    outcomes = make_provider(peer.base_url).send_batch(batch)

    contents = [json.loads(call.body) for call in peer.requests]
    assert [
        (content["message"], [recipient["to"] for recipient in content["smsRecipients"]])
        for content in contents
    ] == [("one", [asha, juma]), ("two", [asha]), ("one", [asha])]
    assert [outcome.provider_ref for outcome in outcomes] == [
        f"Outgoing_{number}_noam" for number in (0, 2, 1, 3)
    ]


def test_more_than_a_hundred_people_are_more_than_one_call(peer):
    outcomes = make_provider(peer.base_url).send_batch(make_batch(101))

    assert len(outcomes) == 101
    assert [len(json.loads(call.body)["smsRecipients"]) for call in peer.requests] == [100, 1]


def test_texts_for_which_no_time_is_left_are_not_sent(peer):
    """What was sent is unknown; what was not is certain, and goes later."""
    provider = make_provider(peer.base_url, timeout_seconds=0.5)
    peer.next.append(LateReply(status=202, after_seconds=3.0))

    outcomes = provider.send_batch([make_sms(text="one"), make_sms(text="two")])

    assert [outcome.outcome for outcome in outcomes] == [Outcome.UNKNOWN, Outcome.RETRY]
    assert len(peer.requests) == 1


def test_calls_of_a_batch_share_one_deadline(peer):
    provider = make_provider(peer.base_url, timeout_seconds=2)
    peer.next += [
        LateReply(status=202, after_seconds=1.5),
        LateReply(status=202, after_seconds=9.0),
    ]
    started = time.monotonic()

    provider.send_batch([make_sms(text="one"), make_sms(text="two")])

    assert time.monotonic() - started < 3
    assert len(peer.requests) == 2


def test_mistake_of_one_does_not_condemn_the_others_of_its_call(peer):
    peer.next.append(refuse(400, "BadRequest"))

    outcomes = make_provider(peer.base_url).send_batch(make_batch(2))

    assert [(outcome.outcome, outcome.elsewhere) for outcome in outcomes] == [
        (Outcome.REFUSED, True)
    ] * 2


def test_wrong_key_loses_no_message(acs, peer):
    wrong = base64.b64encode(secrets.token_bytes(64)).decode()

    outcome = make_provider(peer.base_url, access_key=wrong).send(make_sms())

    assert (outcome.outcome, outcome.retry_after_seconds) == (Outcome.RETRY, 60)
    assert acs.results == {}


def result(**values) -> HttpReply:
    one = {"to": "+255712345678", "messageId": "m", "httpStatusCode": 202, "successful": True}
    return as_json(202, {"value": [one | values]})


@pytest.mark.parametrize(
    ("answer", "outcome", "elsewhere", "after"),
    [
        (refuse(429, "TooManyRequests", retry_after="7"), Outcome.RETRY, False, 7),
        (refuse(500, "InternalError"), Outcome.RETRY, False, None),
        (refuse(503, "ServiceUnavailable"), Outcome.RETRY, False, None),
        (refuse(403, "Forbidden"), Outcome.RETRY, False, 60),
        (refuse(400, "BadRequest", "+255712345678 is odd"), Outcome.REFUSED, False, None),
        (refuse(404, "NotFound"), Outcome.REFUSED, True, None),
        (HttpReply(status=400, body=b"<html>"), Outcome.REFUSED, False, None),
        (HttpReply(status=400, body=b"[]"), Outcome.REFUSED, False, None),
        (refuse(412, "PreconditionFailed"), Outcome.UNKNOWN, False, None),
        (refuse(504, "GatewayTimeout"), Outcome.UNKNOWN, False, None),
        (HttpReply(status=200), Outcome.UNKNOWN, False, None),
        (HttpReply(status=307, headers={"Location": "/elsewhere"}), Outcome.UNKNOWN, False, None),
        (result(successful=False, httpStatusCode=401), Outcome.RETRY, False, 60),
        (result(successful=False, httpStatusCode=412), Outcome.UNKNOWN, False, None),
        (result(successful=False, httpStatusCode=202), Outcome.UNKNOWN, False, None),
        (result(messageId=None), Outcome.UNKNOWN, False, None),
        (as_json(202, {"value": []}), Outcome.UNKNOWN, False, None),
        (as_json(202, {"value": [1]}), Outcome.UNKNOWN, False, None),
        (HttpReply(status=202, body=b"<html>"), Outcome.UNKNOWN, False, None),
        (HttpReply(breaks="closed"), Outcome.UNKNOWN, False, None),
    ],
)
def test_answer_is_understood(peer, answer, outcome, elsewhere, after):
    peer.next.append(answer)

    told = make_provider(peer.base_url).send(make_sms())

    assert (told.outcome, told.elsewhere) == (outcome, elsewhere)
    assert told.retry_after_seconds == after
    assert "255712345678" not in told.reason
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "slow",
    [LateReply(status=202, body=b'{"value":[]}', after_seconds=3.0), HttpReply(breaks="drip")],
)
def test_slow_server_is_left_at_the_deadline_and_got_the_message_once(peer, slow):
    peer.next.append(slow)
    started = time.monotonic()

    told = make_provider(peer.base_url, timeout_seconds=0.5).send(make_sms())

    assert told.outcome == Outcome.UNKNOWN
    assert time.monotonic() - started < 2
    assert len(peer.requests) == 1


def test_server_that_is_not_there_means_try_later():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    assert make_provider(f"http://127.0.0.1:{port}").send(make_sms()).outcome == Outcome.RETRY


def test_text_that_azure_would_not_take_is_refused_without_a_call(peer):
    told = make_provider(peer.base_url).send(make_sms(text="x" * 2049))

    assert told.outcome == Outcome.REFUSED
    assert peer.requests == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sender": ""}, "sender"),
        ({"sender": "12345678901"}, "sender"),
        ({"sender": "FARAJA\r\nX"}, "sender"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"access_key": "?"}, "access_key"),
    ],
)
def test_wrong_option_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        make_provider("https://x.communication.azure.com", **options)


def test_usual_port_is_not_signed(peer):
    """The Host header has none, and the signature covers that header."""
    provider = make_provider("https://X.communication.azure.com:443")

    assert provider._account.endpoint == "https://x.communication.azure.com"


def test_settings_build_it_by_name(settings):
    endpoint = "https://x.communication.azure.com"
    settings.NTC_SMS_PROVIDERS = {
        "azure": {"endpoint": endpoint, "access_key": ACCESS_KEY, "sender": "+255800110011"}
    }

    assert isinstance(SMS_PROVIDERS.get("azure"), AzureSmsProvider)


def test_nothing_secret_is_logged_or_shown(peer, caplog):
    with caplog.at_level(logging.DEBUG):
        provider = make_provider(peer.base_url)
        outcome = provider.send(make_sms())

    seen = f"{caplog.text} {provider!r} {outcome!r}"
    for secret in (ACCESS_KEY, "255712345678", "481516"):
        assert secret not in seen
