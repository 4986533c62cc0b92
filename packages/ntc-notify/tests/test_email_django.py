"""The bridge to Django's own email backends."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from ntc_notify.checks import check_no_local_provider, check_providers
from ntc_notify.providers.email_django import MOST_CALLS, DjangoEmailProvider
from ntc_notify.types import Attachment, Outcome, OutgoingEmail

from tests.backends import StoryBackend
from tests.smtp_server import run_smtp

SMTP = "django.core.mail.backends.smtp.EmailBackend"
STORY = "tests.backends.StoryBackend"


@pytest.fixture
def server():
    with run_smtp() as running:
        yield running


@pytest.fixture(autouse=True)
def _stories() -> Iterator[None]:
    StoryBackend.over.clear()
    yield
    StoryBackend.over.set()
    StoryBackend.received.clear()


def by_smtp(port: int, **options) -> DjangoEmailProvider:
    return DjangoEmailProvider(
        backend=SMTP, options={"host": "127.0.0.1", "port": port, "timeout": 5}, **options
    )


def by_story(story: str, **options) -> DjangoEmailProvider:
    return DjangoEmailProvider(backend=STORY, options={"story": story}, **options)


def make_email(to: str = "asha@example.com", **values) -> OutgoingEmail:
    return OutgoingEmail(
        **{
            "provider_uid": uuid4(),
            "to": to,
            "sender": "Faraja Yangu <no-reply@farajayangu.example>",
            "subject": "Risiti \u2013 TZS 5,000",
            "text": "Habari Asha, kodi yako ni 481516.",
        }
        | values
    )


def test_email_arrives_whole_with_our_id(server):
    pdf = Attachment(filename="risiti.pdf", content_type="application/pdf", content=b"%PDF \xff")
    email = make_email(
        html="<p>Habari</p>",
        attachments=(pdf,),
        reply_to=("msaada@farajayangu.example",),
        headers={"List-Unsubscribe": "<https://farajayangu.example/u/1>"},
    )

    outcome = by_smtp(server.port).send(email)

    message_id = f"<{email.provider_uid}@farajayangu.example>"
    assert (outcome.outcome, outcome.provider_ref) == (Outcome.ACCEPTED, message_id)
    (arrived,) = server.emails
    assert arrived["Message-ID"] == message_id
    assert arrived["From"] == "Faraja Yangu <no-reply@farajayangu.example>"
    assert arrived["Subject"] == email.subject
    assert arrived["Reply-To"] == "msaada@farajayangu.example"
    assert arrived["List-Unsubscribe"] == "<https://farajayangu.example/u/1>"
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert "481516" in arrived.get_body(("plain",)).get_content()
    assert "<p>Habari</p>" in arrived.get_body(("html",)).get_content()
    assert [part.get_content() for part in arrived.iter_attachments()] == [b"%PDF \xff"]


@pytest.mark.parametrize(
    ("to", "outcome", "elsewhere"),
    [
        ("unknown-user@example.com", Outcome.REFUSED, False),
        ("no-relay@example.com", Outcome.REFUSED, True),
        ("greylisted@example.com", Outcome.RETRY, False),
        ("spam@example.com", Outcome.REFUSED, False),
        ("busy@example.com", Outcome.RETRY, False),
        ("lost@example.com", Outcome.UNKNOWN, False),
    ],
)
def test_answer_of_a_mail_server_is_understood(server, to, outcome, elsewhere):
    result = by_smtp(server.port).send(make_email(to))

    assert (result.outcome, result.elsewhere) == (outcome, elsewhere)
    assert to not in result.reason


def test_server_that_refuses_our_sender_may_not_be_the_only_one(server):
    result = by_smtp(server.port).send(make_email(sender="stranger@example.com"))

    assert (result.outcome, result.elsewhere) == (Outcome.REFUSED, True)


def test_server_that_is_not_there_means_try_later():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    assert by_smtp(port).send(make_email()).outcome == Outcome.RETRY


def test_slow_server_is_left_at_the_deadline_and_got_the_message_once(server):
    """EMAIL_TIMEOUT would have let it be: it bounds a read."""
    started = time.monotonic()

    result = by_smtp(server.port, timeout_seconds=0.5).send(make_email("slow@example.com"))

    assert result.outcome == Outcome.UNKNOWN
    assert time.monotonic() - started < 2
    assert len(server.emails) == 1


@pytest.mark.parametrize(
    ("story", "outcome", "elsewhere"),
    [
        ("sends", Outcome.ACCEPTED, False),
        ("nothing", Outcome.RETRY, False),
        ("none", Outcome.UNKNOWN, False),
        ("breaks", Outcome.UNKNOWN, False),
        ("400", Outcome.REFUSED, True),
        ("429", Outcome.RETRY, False),
        ("503", Outcome.UNKNOWN, False),
    ],
)
def test_backend_of_another_company_is_understood(story, outcome, elsewhere):
    result = by_story(story).send(make_email())

    assert (result.outcome, result.elsewhere) == (outcome, elsewhere)
    assert len(StoryBackend.received) == 1
    # The texts of these errors have everything that was sent.
    assert "asha@example.com" not in result.reason
    assert "481516" not in result.reason


def test_id_of_the_company_is_kept_where_the_backend_has_it():
    assert by_story("anymail").send(make_email()).provider_ref == "company-1"


def test_backend_that_hangs_holds_nobody_for_ever():
    provider = by_story("hangs", timeout_seconds=0.2)

    outcomes = [provider.send(make_email()).outcome for _ in range(MOST_CALLS + 1)]

    # With all places taken nothing is handed over any more, so it is certain.
    assert outcomes == [Outcome.UNKNOWN] * MOST_CALLS + [Outcome.RETRY]
    StoryBackend.over.set()
    assert by_story("sends").send(make_email()).outcome == Outcome.ACCEPTED


@pytest.mark.parametrize(
    "values", [{"to": "ásha@example.com"}, {"headers": {"Bcc": "b@x.example"}}]
)
def test_email_that_cannot_be_written_is_refused_without_a_call(values):
    result = by_story("sends").send(make_email(**values))

    assert result.outcome == Outcome.REFUSED
    assert StoryBackend.received == []


def test_backend_of_the_settings_is_the_default(settings):
    settings.EMAIL_BACKEND = STORY
    settings.NTC_EMAIL_PROVIDERS = {"django": {}}

    assert check_providers() == []
    assert DjangoEmailProvider().send(make_email()).outcome == Outcome.ACCEPTED
    assert len(StoryBackend.received) == 1


def test_our_own_backend_would_send_to_itself_for_ever(settings):
    settings.EMAIL_BACKEND = "ntc_notify.mail_backend.EmailBackend"

    with pytest.raises(ValueError, match="to itself"):
        DjangoEmailProvider()


@pytest.mark.parametrize(
    ("backend", "is_local"), [("console", True), ("locmem", True), ("smtp", False)]
)
def test_backend_that_only_keeps_emails_is_not_for_the_public(settings, backend, is_local):
    path = f"django.core.mail.backends.{backend}.EmailBackend"
    settings.NTC_EMAIL_PROVIDERS = {"django": {"backend": path}}
    settings.NTC_SMS_PROVIDERS = {}

    problems = check_no_local_provider()

    assert [problem.id for problem in problems] == (["ntc_notify.E007"] if is_local else [])


def test_wrong_time_is_named():
    with pytest.raises(ValueError, match="timeout_seconds"):
        DjangoEmailProvider(backend=SMTP, timeout_seconds=46)
