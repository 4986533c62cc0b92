"""Email by Azure's SDK against a peer that checks the HMAC and misbehaves."""

from __future__ import annotations

import base64
import json
import logging
import secrets
import socket
import time
from uuid import uuid4

import pytest
from ntc_notify.providers.email_azure import AzureEmailProvider
from ntc_notify.registry import EMAIL_PROVIDERS
from ntc_notify.testing import HttpReply
from ntc_notify.types import Attachment, MessageState, Outcome, OutgoingEmail, Receipt

from tests.acs_peer import ACCESS_KEY, FROM, Acs, as_json, refuse
from tests.http_peer import LateReply, run_peer


@pytest.fixture
def acs() -> Acs:
    return Acs()


@pytest.fixture
def peer(acs):
    with run_peer(acs.answer) as running:
        yield running


def make_provider(url: str, **options) -> AzureEmailProvider:
    return AzureEmailProvider(
        **{"endpoint": url, "access_key": ACCESS_KEY, "timeout_seconds": 5} | options
    )


def make_email(**values) -> OutgoingEmail:
    return OutgoingEmail(
        **{
            "provider_uid": uuid4(),
            "to": "asha@example.com",
            "sender": f"Faraja Yangu <{FROM}>",
            "subject": "Risiti \u2013 TZS 5,000",
            "text": "Habari Asha, kodi yako ni 481516.",
        }
        | values
    )


def test_email_is_taken_under_our_own_id(acs, peer):
    email = make_email()

    outcome = make_provider(peer.base_url).send(email)

    assert (outcome.outcome, outcome.provider_ref) == (Outcome.ACCEPTED, str(email.provider_uid))
    assert list(acs.operations) == [str(email.provider_uid)]
    (call,) = peer.requests
    assert json.loads(call.body) == {
        "senderAddress": FROM,
        "recipients": {"to": [{"address": "asha@example.com"}]},
        "content": {"subject": email.subject, "plainText": email.text},
    }


def test_everything_an_email_has_travels(peer):
    pdf = Attachment(filename="risiti.pdf", content_type="application/pdf", content=b"%PDF \xff")
    email = make_email(
        to="Asha Juma <asha@example.com>",
        html="<p>Habari</p>",
        attachments=(pdf,),
        reply_to=("Msaada <msaada@farajayangu.example>",),
        headers={"List-Unsubscribe": "<https://farajayangu.example/u/1>"},
    )

    make_provider(peer.base_url).send(email)

    content = json.loads(peer.requests[0].body)
    assert content["recipients"]["to"] == [
        {"address": "asha@example.com", "displayName": "Asha Juma"}
    ]
    assert content["content"]["html"] == "<p>Habari</p>"
    assert content["replyTo"] == [
        {"address": "msaada@farajayangu.example", "displayName": "Msaada"}
    ]
    assert content["headers"] == {"List-Unsubscribe": "<https://farajayangu.example/u/1>"}
    (file,) = content["attachments"]
    assert (file["name"], file["contentType"]) == ("risiti.pdf", "application/pdf")
    assert base64.b64decode(file["contentInBase64"]) == b"%PDF \xff"


def test_sender_of_the_settings_wins(peer):
    provider = make_provider(peer.base_url, sender=FROM)

    assert provider.send(make_email(sender="x@other.example")).outcome == Outcome.ACCEPTED


def test_sender_of_a_foreign_domain_may_be_taken_elsewhere(peer):
    outcome = make_provider(peer.base_url).send(make_email(sender="x@other.example"))

    assert (outcome.outcome, outcome.elsewhere) == (Outcome.REFUSED, True)


def test_second_call_under_one_id_is_the_same_email(acs, peer):
    provider, email = make_provider(peer.base_url), make_email()

    first, second = provider.send(email), provider.send(email)

    assert first == second
    assert len(acs.operations) == 1


def test_wrong_key_loses_no_message(acs, peer):
    wrong = base64.b64encode(secrets.token_bytes(64)).decode()

    outcome = make_provider(peer.base_url, access_key=wrong).send(make_email())

    assert (outcome.outcome, outcome.retry_after_seconds) == (Outcome.RETRY, 60)
    assert acs.operations == {}


FAILED = {"id": "x", "status": "Failed", "error": {"code": "EmailDropped", "message": "No."}}


@pytest.mark.parametrize(
    ("answer", "outcome", "elsewhere", "after"),
    [
        (refuse(429, "TooManyRequests", retry_after="7"), Outcome.RETRY, False, 7),
        (refuse(429, "TooManyRequests", retry_after="soon"), Outcome.RETRY, False, None),
        (refuse(429, "TooManyRequests", retry_after="999999999"), Outcome.RETRY, False, 86400),
        (refuse(500, "InternalError"), Outcome.RETRY, False, None),
        (refuse(503, "ServiceUnavailable", retry_after="3"), Outcome.RETRY, False, 3),
        (refuse(401, "Denied"), Outcome.RETRY, False, 60),
        (refuse(403, "Forbidden"), Outcome.RETRY, False, 60),
        (refuse(400, "BadRequest", "asha@example.com is odd"), Outcome.REFUSED, False, None),
        (refuse(413, "TooLarge"), Outcome.REFUSED, True, None),
        (refuse(409, "Conflict"), Outcome.ACCEPTED, False, None),
        (refuse(502, "BadGateway"), Outcome.UNKNOWN, False, None),
        (refuse(504, "GatewayTimeout"), Outcome.UNKNOWN, False, None),
        (as_json(202, FAILED), Outcome.REFUSED, False, None),
        (as_json(202, {"id": "x", "status": "Baking"}), Outcome.UNKNOWN, False, None),
        (as_json(202, []), Outcome.UNKNOWN, False, None),
        (HttpReply(status=202, body=b"<html>"), Outcome.UNKNOWN, False, None),
        (HttpReply(status=202), Outcome.UNKNOWN, False, None),
        (HttpReply(breaks="closed"), Outcome.UNKNOWN, False, None),
    ],
)
def test_answer_is_understood(peer, answer, outcome, elsewhere, after):
    peer.next.append(answer)

    result = make_provider(peer.base_url).send(make_email())

    assert (result.outcome, result.elsewhere) == (outcome, elsewhere)
    assert result.retry_after_seconds == after
    assert "asha@example.com" not in result.reason
    assert len(peer.requests) == 1


def test_redirect_is_not_followed_with_our_signature(peer):
    with run_peer(lambda _: HttpReply()) as stranger:
        peer.next.append(
            HttpReply(status=307, headers={"Location": f"{stranger.base_url}/emails:send"})
        )

        outcome = make_provider(peer.base_url).send(make_email())

    assert outcome.outcome == Outcome.UNKNOWN
    assert stranger.requests == []


@pytest.mark.parametrize(
    "slow",
    [
        LateReply(status=202, body=b'{"id":"x","status":"Running"}', after_seconds=3.0),
        HttpReply(breaks="drip"),
    ],
)
def test_slow_server_is_left_at_the_deadline_and_got_the_message_once(peer, slow):
    """The SDK waits 300 s for a single read; drips would hold it for ever."""
    provider = make_provider(peer.base_url, timeout_seconds=1)
    provider.send(make_email())  # the SDK is loaded; it takes a moment
    peer.requests.clear()
    peer.next.append(slow)
    started = time.monotonic()

    result = provider.send(make_email())

    assert result.outcome == Outcome.UNKNOWN
    assert time.monotonic() - started < 2.5
    assert len(peer.requests) == 1


def test_server_that_is_not_there_means_try_later():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    assert make_provider(f"http://127.0.0.1:{port}").send(make_email()).outcome == Outcome.RETRY


def test_email_that_cannot_be_written_is_refused_without_a_call(peer):
    result = make_provider(peer.base_url).send(make_email(to="ásha@example.com"))

    assert result.outcome == Outcome.REFUSED
    assert peer.requests == []


def test_proxy_and_passwords_of_the_environment_are_not_believed(peer, monkeypatch, tmp_path):
    """`requests` would put what it finds in .netrc in the place of our signature."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert make_provider(peer.base_url).send(make_email()).outcome == Outcome.ACCEPTED


def ask(provider: AzureEmailProvider, email: OutgoingEmail) -> Receipt | None:
    return provider.query(provider_ref="", provider_uid=email.provider_uid, address=email.to)


def test_lost_answer_is_found_by_our_id(acs, peer):
    """The question needs nothing from the answer that never came."""
    provider, email = make_provider(peer.base_url, timeout_seconds=1), make_email()
    provider.send(make_email())
    acs.operations[str(email.provider_uid)] = {"id": str(email.provider_uid), "status": "Running"}
    peer.next.append(HttpReply(breaks="closed"))
    assert provider.send(email).outcome == Outcome.UNKNOWN

    told = ask(provider, email)

    assert told == Receipt(
        state=MessageState.ACCEPTED,
        provider_ref=str(email.provider_uid),
        provider_uid=email.provider_uid,
        address="asha@example.com",
    )


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("NotStarted", MessageState.ACCEPTED),
        ("Succeeded", MessageState.ACCEPTED),
        ("Failed", MessageState.FAILED),
        ("Canceled", MessageState.FAILED),
    ],
)
def test_state_of_an_operation_is_understood(acs, peer, status, state):
    email = make_email()
    error = {"code": "EmailDropped", "message": "<asha@example.com> is on a list"}
    acs.operations[str(email.provider_uid)] = {"id": "x", "status": status, "error": error}

    told = ask(make_provider(peer.base_url), email)

    assert told is not None
    assert told.state is state
    failed = state is MessageState.FAILED
    assert told.reason == (f"{status} EmailDropped <a***@e***> is on a list" if failed else "")


@pytest.mark.parametrize(
    "answer",
    [
        refuse(404, "NotFound"),
        refuse(429, "TooManyRequests"),
        refuse(500, "InternalError"),
        as_json(200, {"status": "Baking"}),
        as_json(200, []),
        HttpReply(body=b"<html>"),
        HttpReply(breaks="closed"),
    ],
)
def test_question_without_an_answer_says_nothing(peer, answer):
    peer.next.append(answer)

    assert ask(make_provider(peer.base_url), make_email()) is None
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"endpoint": f"endpoint=https://x.example/;accesskey={ACCESS_KEY}"}, "endpoint"),
        ({"endpoint": "x.communication.azure.com"}, "endpoint"),
        ({"endpoint": "https://x.communication.azure.com/path"}, "endpoint"),
        ({"access_key": "not base64"}, "access_key"),
        ({"timeout_seconds": 46}, "timeout_seconds"),
    ],
)
def test_wrong_option_is_named_and_not_repeated(options, words):
    good = {"endpoint": "https://x.communication.azure.com", "access_key": ACCESS_KEY}

    with pytest.raises(ValueError, match=words) as caught:
        AzureEmailProvider(**good | options)

    assert ACCESS_KEY not in str(caught.value)


def test_settings_build_it_by_name(settings):
    options = {"endpoint": "https://x.communication.azure.com/", "access_key": ACCESS_KEY}
    settings.NTC_EMAIL_PROVIDERS = {"azure": options}

    assert isinstance(EMAIL_PROVIDERS.get("azure"), AzureEmailProvider)


def test_nothing_secret_is_logged_or_shown(peer, caplog):
    with caplog.at_level(logging.DEBUG):
        provider = make_provider(peer.base_url)
        outcome = provider.send(make_email())

    seen = f"{caplog.text} {provider!r} {outcome!r}"
    for secret in (ACCESS_KEY, "asha@example.com", "481516"):
        assert secret not in seen
