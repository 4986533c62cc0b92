"""SES against moto's server, and against a peer that checks SigV4 and misbehaves."""

from __future__ import annotations

import base64
import logging
import secrets
import socket
import time
from email import message_from_bytes, policy
from uuid import uuid4

import boto3
import pytest
from ntc_notify.providers import email_ses
from ntc_notify.providers.email_ses import SesProvider
from ntc_notify.registry import EMAIL_PROVIDERS
from ntc_notify.testing import HttpReply
from ntc_notify.types import Attachment, Outcome, OutgoingEmail

from tests import aws_peer
from tests.http_peer import LateReply, run_peer
from tests.moto_peer import run_moto


@pytest.fixture(scope="module")
def moto():
    with run_moto() as server:
        yield server


@pytest.fixture
def ses():
    with run_peer(aws_peer.answer_ses) as peer:
        yield peer


def make_provider(url: str, **options) -> SesProvider:
    return SesProvider(
        **{
            "region": aws_peer.REGION,
            "access_key_id": aws_peer.ACCESS_KEY_ID,
            "secret_access_key": aws_peer.SECRET_ACCESS_KEY,
            "endpoint_url": url,
            "timeout_seconds": 5,
        }
        | options
    )


def make_email(to: str = "asha@example.com", **values) -> OutgoingEmail:
    return OutgoingEmail(
        **{
            "provider_uid": uuid4(),
            "to": to,
            "sender": "Faraja Yangu <no-reply@farajayangu.example>",
            "subject": "Risiti ya TZS 5,000 \u2013 asante",
            "text": "Habari Asha, kodi yako ni 481516.",
        }
        | values
    )


def test_email_arrives_whole_at_a_verified_domain(moto):
    """moto takes it from an identity it knows; what it keeps is what we sent."""
    moto.reset()
    boto3.client(
        "sesv2", region_name=aws_peer.REGION, endpoint_url=moto.url,
        aws_access_key_id="x", aws_secret_access_key=secrets.token_hex(8),
    ).create_email_identity(EmailIdentity="farajayangu.example")  # fmt: skip
    pdf = Attachment(filename="risiti.pdf", content_type="application/pdf", content=b"%PDF \xff")
    email = make_email(
        html="<p>Habari</p>",
        attachments=(pdf,),
        reply_to=("msaada@farajayangu.example",),
        headers={"List-Unsubscribe": "<https://farajayangu.example/u/1>"},
    )

    outcome = make_provider(moto.url).send(email)

    assert outcome.outcome == Outcome.ACCEPTED
    (kept,) = moto.read("ses")["RawMessage"]
    assert kept["id"] == outcome.provider_ref
    assert set(kept["destinations"]) == {"asha@example.com"}
    arrived = message_from_bytes(kept["raw_data"].encode(), policy=policy.default)
    assert arrived["From"] == "Faraja Yangu <no-reply@farajayangu.example>"
    assert arrived["Subject"] == email.subject
    assert arrived["Reply-To"] == "msaada@farajayangu.example"
    assert arrived["List-Unsubscribe"] == "<https://farajayangu.example/u/1>"
    assert "481516" in arrived.get_body(("plain",)).get_content()
    assert "<p>Habari</p>" in arrived.get_body(("html",)).get_content()
    assert [part.get_content() for part in arrived.iter_attachments()] == [b"%PDF \xff"]


def test_sender_that_moto_does_not_know_is_refused(moto):
    moto.reset()

    outcome = make_provider(moto.url).send(make_email())

    assert outcome.outcome == Outcome.REFUSED
    assert outcome.reason.startswith("MessageRejected")
    assert "no-reply@farajayangu.example" not in outcome.reason


def test_call_is_signed_and_carries_our_id(ses):
    """The peer recomputes SigV4; the tag comes back in every event."""
    email = make_email()

    outcome = make_provider(ses.base_url, configuration_set="faraja").send(email)

    assert (outcome.outcome, outcome.provider_ref) == (Outcome.ACCEPTED, aws_peer.MESSAGE_ID)
    (call,) = ses.requests
    content = aws_peer.read_json(call)
    assert content["ConfigurationSetName"] == "faraja"
    assert content["EmailTags"] == [{"Name": "ntc_uid", "Value": str(email.provider_uid)}]
    assert content["Destination"] == {"ToAddresses": ["asha@example.com"]}
    raw = base64.b64decode(content["Content"]["Raw"]["Data"])
    assert f"<{email.provider_uid}@farajayangu.example>".encode() in raw


def test_wrong_key_loses_no_message(ses):
    provider = make_provider(ses.base_url, secret_access_key=secrets.token_hex(20))

    outcome = provider.send(make_email())

    assert outcome.outcome == Outcome.RETRY
    assert outcome.retry_after_seconds == 60
    assert len(ses.requests) == 1


REFUSE = aws_peer.refuse_ses
SANDBOX = "Email address is not verified. The following identities failed: asha@example.com"


@pytest.mark.parametrize(
    ("answer", "outcome", "elsewhere", "after"),
    [
        (REFUSE("TooManyRequestsException", status=429), Outcome.RETRY, False, None),
        (REFUSE("LimitExceededException"), Outcome.RETRY, False, None),
        (REFUSE("InternalServiceErrorException", status=500), Outcome.RETRY, False, None),
        (REFUSE("ServiceUnavailable", status=503), Outcome.RETRY, False, None),
        (HttpReply(status=429), Outcome.RETRY, False, None),
        (REFUSE("AccountSuspendedException"), Outcome.RETRY, False, 60),
        (REFUSE("SendingPausedException"), Outcome.RETRY, False, 60),
        (REFUSE("AccessDeniedException", status=403), Outcome.RETRY, False, 60),
        (REFUSE("BadRequestException"), Outcome.REFUSED, False, None),
        (REFUSE("MessageRejected"), Outcome.REFUSED, False, None),
        (REFUSE("MessageRejected", message=SANDBOX), Outcome.REFUSED, True, None),
        (REFUSE("MailFromDomainNotVerifiedException"), Outcome.REFUSED, True, None),
        (REFUSE("NotFoundException", status=404), Outcome.REFUSED, True, None),
        (REFUSE("NeverHeardOfException"), Outcome.REFUSED, True, None),
        (HttpReply(status=504, body=b"<html>late</html>"), Outcome.UNKNOWN, False, None),
        (HttpReply(status=502), Outcome.UNKNOWN, False, None),
        (REFUSE("NeverHeardOfException", status=500), Outcome.UNKNOWN, False, None),
        (HttpReply(body=b"<html>hello</html>"), Outcome.UNKNOWN, False, None),
        (HttpReply(body=b"{}"), Outcome.UNKNOWN, False, None),
        (HttpReply(breaks="closed"), Outcome.UNKNOWN, False, None),
    ],
)
def test_answer_is_understood(ses, answer, outcome, elsewhere, after):
    ses.next.append(answer)

    result = make_provider(ses.base_url).send(make_email())

    assert (result.outcome, result.elsewhere) == (outcome, elsewhere)
    assert result.retry_after_seconds == after
    assert "asha@example.com" not in result.reason
    assert len(ses.requests) == 1


@pytest.mark.parametrize(
    "slow", [LateReply(body=b'{"MessageId":"x"}', after_seconds=3.0), HttpReply(breaks="drip")]
)
def test_slow_server_is_left_at_the_deadline_and_got_the_message_once(ses, slow):
    """It has accepted; the SDK would have sent three times, and never have ended on drips."""
    ses.next.append(slow)
    provider = make_provider(ses.base_url, timeout_seconds=1)
    provider.send(make_email())  # the SDK is loaded; it takes a moment
    ses.requests.clear()
    ses.next.append(slow)
    started = time.monotonic()

    result = provider.send(make_email())

    assert result.outcome == Outcome.UNKNOWN
    assert time.monotonic() - started < 2.5
    assert len(ses.requests) == 1


def test_server_that_is_not_there_means_try_later():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    result = make_provider(f"http://127.0.0.1:{port}").send(make_email())

    assert result.outcome == Outcome.RETRY


def test_machine_without_key_and_role_loses_no_message(ses, monkeypatch, tmp_path):
    """The SDK looks everywhere, and finds nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    result = make_provider(ses.base_url, access_key_id="", secret_access_key="").send(make_email())

    assert (result.outcome, ses.requests) == (Outcome.RETRY, [])


def test_email_that_cannot_be_written_is_refused_without_a_call(ses):
    result = make_provider(ses.base_url).send(make_email(to="ásha@example.com"))

    assert result.outcome == Outcome.REFUSED
    assert ses.requests == []


def test_proxy_and_endpoint_of_the_environment_are_not_believed(ses, monkeypatch):
    """A request with our key goes where the settings say, or nowhere."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    assert make_provider(ses.base_url).send(make_email()).outcome == Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"timeout_seconds": 46}, "timeout_seconds"),
        ({"access_key_id": ""}, "go together"),
        ({"endpoint_url": "127.0.0.1:5555"}, "endpoint_url"),
        ({"topic_arns": "arn:aws:sqs:eu-west-1:123456789012:x"}, "is not a topic"),
    ],
)
def test_wrong_option_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        make_provider("http://127.0.0.1:9", **options)


def test_settings_build_it_by_name(settings):
    settings.NTC_EMAIL_PROVIDERS = {"ses": {"region": "eu-west-1"}}

    assert isinstance(EMAIL_PROVIDERS.get("ses"), SesProvider)


def test_nothing_secret_is_logged_or_shown(ses, caplog):
    """Not even by the SDK, whose debug log has every request in full."""
    with caplog.at_level(logging.DEBUG):
        provider = make_provider(ses.base_url)
        outcome = provider.send(make_email())

    seen = f"{caplog.text} {provider!r} {outcome!r}"
    for secret in (aws_peer.SECRET_ACCESS_KEY, "asha@example.com", "481516"):
        assert secret not in seen


def test_rate_of_the_account_is_asked_for_once(ses):
    provider = make_provider(ses.base_url)

    rates = [provider.find_calls_per_second() for _ in range(3)]

    assert rates == [aws_peer.MAX_SEND_RATE] * 3
    assert [call.target for call in ses.requests] == [aws_peer.ACCOUNT]


@pytest.mark.parametrize(
    "reply",
    [
        aws_peer.refuse_ses("AccessDeniedException", status=403),
        HttpReply(status=503),
        HttpReply(breaks="closed"),
        HttpReply.json({}),
        HttpReply.json({"SendQuota": None}),
        HttpReply.json({"SendQuota": {"MaxSendRate": 0}}),
        HttpReply(body=b'{"SendQuota": {"MaxSendRate": Infinity}}'),
        HttpReply(body=b"no json"),
    ],
    ids=lambda reply: reply.breaks or str(reply.body[:40]),
)
def test_rate_that_is_not_told_is_none_and_is_not_asked_for_at_every_call(ses, reply, caplog):
    """A key that may only send is enough; SES itself slows us down then."""
    ses.next.append(reply)
    provider = make_provider(ses.base_url)

    assert [provider.find_calls_per_second() for _ in range(2)] == [None, None]
    assert len(ses.requests) == 1
    assert "provider.rate_unknown" in caplog.text
    assert aws_peer.SECRET_ACCESS_KEY not in caplog.text


def test_last_rate_holds_while_ses_does_not_tell(ses, monkeypatch):
    monkeypatch.setattr(email_ses, "RATE_SECONDS", 0.0)
    provider = make_provider(ses.base_url)
    provider.find_calls_per_second()

    ses.next.append(HttpReply(status=503))

    assert provider.find_calls_per_second() == aws_peer.MAX_SEND_RATE
    assert len(ses.requests) == 2
