"""The SMTP provider against a real server on a socket."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import uuid4

import pytest
from ntc_notify.providers.email_smtp import SmtpProvider
from ntc_notify.types import Outcome, OutgoingEmail

from tests.smtp_server import USERNAME, make_certificate, run_script, run_smtp


@pytest.fixture
def server():
    with run_smtp() as running:
        yield running


def make_provider(port: int, **options) -> SmtpProvider:
    return SmtpProvider(
        **{"host": "127.0.0.1", "port": port, "security": "none", "timeout_seconds": 5} | options
    )


def make_email(to: str = "asha@example.com", **values) -> OutgoingEmail:
    return OutgoingEmail(
        **{
            "provider_uid": uuid4(),
            "to": to,
            "sender": "Faraja Yangu <no-reply@farajayangu.example>",
            "subject": "Risiti ya TZS 5,000",
            "text": "Habari Asha,\n\nTumepokea TZS 5,000.",
        }
        | values
    )


def read_text(email: EmailMessage) -> str:
    return email.get_content().replace("\r\n", "\n").rstrip("\n")


def test_email_arrives_with_our_id_as_its_message_id(server):
    email = make_email()

    outcome = make_provider(server.port).send(email)

    assert outcome.outcome == Outcome.ACCEPTED
    assert outcome.provider_ref == "2.0.0 OK queued as 4Z1"
    (arrived,) = server.emails
    assert arrived["Message-ID"] == f"<{email.provider_uid}@farajayangu.example>"
    assert arrived["From"] == "Faraja Yangu <no-reply@farajayangu.example>"
    assert arrived["To"] == "asha@example.com"
    assert arrived["Subject"] == "Risiti ya TZS 5,000"
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived["Date"].datetime.tzinfo is not None
    assert read_text(arrived) == "Habari Asha,\n\nTumepokea TZS 5,000."
    (envelope,) = server.handler.envelopes
    assert envelope.mail_from == "no-reply@farajayangu.example"
    assert envelope.rcpt_tos == ["asha@example.com"]


def test_html_travels_beside_the_text(server):
    make_provider(server.port).send(make_email(html="<p>Tumepokea <b>TZS 5,000</b>.</p>"))

    (arrived,) = server.emails
    assert arrived.get_content_type() == "multipart/alternative"
    assert "Tumepokea TZS" in arrived.get_body(("plain",)).get_content()
    assert "<b>TZS 5,000</b>" in arrived.get_body(("html",)).get_content()


@pytest.mark.parametrize(
    "text",
    [
        ".\nthe line above is a dot\n..two\n.x",
        "Karibu sana \U0001f64f \u2013 \u2018asante\u2019",
        "x" * 5000,
        "one line without an end",
        "ends with a dot line\n.\n",
    ],
)
def test_any_text_arrives_as_it_is(server, text):
    outcome = make_provider(server.port).send(
        make_email(text=text, subject="Ångström \u2013 ﷺ" * 9)
    )

    assert outcome.outcome == Outcome.ACCEPTED
    (arrived,) = server.emails
    assert read_text(arrived) == text.rstrip("\n")
    assert arrived["Subject"] == "Ångström \u2013 ﷺ" * 9
    # Servers without 8BITMIME can take it too.
    assert server.handler.envelopes[0].content.isascii()


@pytest.mark.parametrize(
    ("to", "outcome", "elsewhere", "words"),
    [
        ("unknown-user@example.com", Outcome.REFUSED, False, "RCPT TO: 550 5.1.1"),
        ("no-relay@example.com", Outcome.REFUSED, True, "RCPT TO: 550 5.7.1"),
        ("greylisted@example.com", Outcome.RETRY, False, "RCPT TO: 451"),
        ("spam@example.com", Outcome.REFUSED, False, "Message: 554 content refused"),
        ("busy@example.com", Outcome.RETRY, False, "Message: 421 too busy"),
        ("lost@example.com", Outcome.UNKNOWN, False, "No answer after the message"),
    ],
)
def test_answer_is_understood(server, to, outcome, elsewhere, words):
    result = make_provider(server.port).send(make_email(to))

    assert (result.outcome, result.elsewhere) == (outcome, elsewhere)
    assert result.reason.startswith(words)


def test_connection_lost_after_data_is_unknown_because_the_server_has_it(server):
    result = make_provider(server.port).send(make_email("lost@example.com"))

    assert result.outcome == Outcome.UNKNOWN
    assert len(server.emails) == 1


def test_server_that_refuses_our_sender_may_not_be_the_only_one(server):
    email = make_email(sender="stranger@example.com")

    result = make_provider(server.port).send(email)

    assert result.outcome == Outcome.REFUSED
    assert result.elsewhere


def test_slow_server_is_left_at_the_deadline_and_got_the_message_once(server):
    started = time.monotonic()

    result = make_provider(server.port, timeout_seconds=0.5).send(make_email("slow@example.com"))

    assert result.outcome == Outcome.UNKNOWN
    assert time.monotonic() - started < 2
    assert len(server.emails) == 1


OPENING = (b"220 hello\r\n", b"250 hello\r\n")
TO_DATA = (*OPENING, b"250 sender\r\n", b"250 recipient\r\n", b"354 go on\r\n")


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ([None], Outcome.RETRY),
        ([b"554 not today\r\n"], Outcome.RETRY),
        ([b"220 hello\r\n", None], Outcome.RETRY),
        ([*OPENING, None], Outcome.RETRY),
        ([*OPENING, b"452 full\r\n", b"221 bye\r\n"], Outcome.RETRY),
        ([*OPENING, b"nonsense\r\n", b"221 bye\r\n"], Outcome.RETRY),
        ([*OPENING, b"250 sender\r\n", b"250 recipient\r\n", None], Outcome.RETRY),
        ([*OPENING, b"250 s\r\n", b"250 r\r\n", b"503 no\r\n", b"221 bye\r\n"], Outcome.REFUSED),
        ([*TO_DATA, None], Outcome.UNKNOWN),
        ([*TO_DATA, b"2", None], Outcome.UNKNOWN),
        ([*TO_DATA, b"what\r\n", b"221 bye\r\n"], Outcome.UNKNOWN),
        ([*TO_DATA, b"x" * 9000 + b"\r\n"], Outcome.UNKNOWN),
        ([*TO_DATA, b"452 4.3.1 full\r\n", b"221 bye\r\n"], Outcome.RETRY),
        ([*TO_DATA, b"250 taken\r\n", None], Outcome.ACCEPTED),
        ([*TO_DATA, b"250 taken\r\n", b"500 no goodbye\r\n"], Outcome.ACCEPTED),
    ],
)
def test_every_way_a_connection_can_end(replies, outcome):
    with run_script(*replies) as port:
        result = make_provider(port).send(make_email())

    assert result.outcome == outcome


@pytest.mark.parametrize(
    ("replies", "outcome"),
    [
        ((0.2, b"2") * 50, Outcome.RETRY),
        ((*OPENING, *(0.2, b"2") * 50), Outcome.RETRY),
        ((*TO_DATA, *(0.2, b"2") * 50), Outcome.UNKNOWN),
    ],
)
def test_dripping_server_cannot_stretch_the_deadline(replies, outcome):
    with run_script(*replies) as port:
        started = time.monotonic()
        result = make_provider(port, timeout_seconds=1).send(make_email())
        took = time.monotonic() - started

    assert result.outcome == outcome
    assert took < 2


def test_goodbye_that_never_comes_does_not_change_the_outcome():
    with run_script(*TO_DATA, b"250 taken\r\n", 30.0) as port:
        started = time.monotonic()
        result = make_provider(port, timeout_seconds=20).send(make_email())

    assert result.outcome == Outcome.ACCEPTED
    assert time.monotonic() - started < 4


def test_server_that_is_not_there_means_try_later():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    result = make_provider(port).send(make_email())

    assert result.outcome == Outcome.RETRY


def test_host_without_an_address_means_try_later():
    result = make_provider(25, host="no-such-host.invalid").send(make_email())

    assert result.outcome == Outcome.RETRY


def test_second_address_of_a_host_is_tried_within_the_same_deadline(server):
    """ "localhost" is ::1 and 127.0.0.1 on most machines; the server listens on one of them."""
    result = make_provider(server.port, host="localhost").send(make_email())

    assert result.outcome == Outcome.ACCEPTED


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def test_starttls_then_sign_in(certificate, server_context):
    password = secrets.token_hex(8)
    with run_smtp(password=password, tls_context=server_context, require_starttls=True) as server:
        options = {"security": "starttls", "ca_file": str(certificate[0]), "username": USERNAME}
        good = make_provider(server.port, password=password, **options).send(make_email())
        bad = make_provider(server.port, password="wrong", **options).send(make_email())

    assert good.outcome == Outcome.ACCEPTED
    # Somebody will correct the password; until then no message is lost.
    assert bad.outcome == Outcome.RETRY
    assert "535" in bad.reason
    assert "wrong" not in bad.reason
    assert len(server.emails) == 1


def test_tls_from_the_first_byte(certificate, server_context):
    with run_smtp(ssl_context=server_context) as server:
        result = make_provider(server.port, security="tls", ca_file=str(certificate[0])).send(
            make_email()
        )

    assert result.outcome == Outcome.ACCEPTED
    assert len(server.emails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_certificate_that_nobody_vouches_for_is_not_trusted(server_context, security):
    options = (
        {"tls_context": server_context}
        if security == "starttls"
        else {"ssl_context": server_context}
    )
    with run_smtp(**options) as server:
        result = make_provider(server.port, security=security).send(make_email())

    assert result.outcome == Outcome.RETRY
    assert not server.emails


def test_starttls_never_falls_back_to_plain(server):
    result = make_provider(server.port, security="starttls").send(make_email())

    assert result.outcome == Outcome.RETRY
    assert not server.emails


@pytest.mark.parametrize(
    "to", ["ali\u00e8@example.com", "asha@ex..ample.com", "asha..b@example.com"]
)
def test_address_that_no_header_can_carry_is_refused(server, to):
    result = make_provider(server.port).send(make_email(to))

    assert result.outcome == Outcome.REFUSED
    assert to not in result.reason
    assert not server.emails


def test_domain_in_another_alphabet_is_written_in_ascii(server):
    make_provider(server.port).send(make_email("asha@b\u00fccher.example"))

    assert server.handler.envelopes[0].rcpt_tos == ["asha@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"security": "ssl"}, "starttls, tls, none"),
        ({"timeout_seconds": 46}, "at most 45"),
        ({"timeout_seconds": 0}, "above 0"),
        ({"username": "faraja", "password": "x"}, "unencrypted"),
        ({"username": "faraja", "password": "\u00e9", "security": "tls"}, "ASCII"),
    ],
)
def test_unsafe_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        make_provider(25, **options)


def test_message_is_the_same_bytes_whatever_the_policy_of_the_parser(server):
    """Lines end in CRLF on the wire, as RFC 5322 asks."""
    make_provider(server.port).send(make_email())

    content = server.handler.envelopes[0].content
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert message_from_bytes(content, policy=policy.default)["To"] == "asha@example.com"
