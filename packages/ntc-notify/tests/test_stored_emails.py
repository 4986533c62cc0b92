"""What send_mail() was given, brought to its end by the workers."""

from __future__ import annotations

import pytest
from django.core.mail import EmailMultiAlternatives, send_mail
from ntc_notify.models import Message
from ntc_notify.types import MessageState

from tests.people import run_now
from tests.smtp_server import run_smtp

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _our_backend(settings):
    settings.EMAIL_BACKEND = "ntc_notify.mail_backend.EmailBackend"


@pytest.fixture
def server(settings):
    with run_smtp() as running:
        options = {"host": "127.0.0.1", "port": running.port, "security": "none"}
        settings.NTC_EMAIL_PROVIDERS = {"smtp": options}
        yield running


def test_email_of_django_arrives_whole(server):
    email = EmailMultiAlternatives(
        "Ripoti \u2013 Juni",
        "Habari.",
        "Msaada <msaada@farajayangu.example>",
        ["Asha <asha@example.com>"],
        bcc=["juma@example.com"],
        reply_to=["Ofisi <ofisi@farajayangu.example>"],
        headers={"X-Kind": "report"},
    )
    email.attach_alternative("<p>Habari.</p>", "text/html")
    email.attach("orodha.csv", "a;b\r\n", "text/csv")
    email.send()

    run_now(2)

    assert {message.state for message in Message.objects.all()} == {MessageState.ACCEPTED}
    arrived = {mail["To"]: mail for mail in server.emails}
    assert set(arrived) == {"asha@example.com", "juma@example.com"}
    for mail in arrived.values():
        assert mail["Subject"] == "Ripoti \u2013 Juni"
        assert mail["From"] == "Msaada <msaada@farajayangu.example>"
        assert mail["Reply-To"] == "Ofisi <ofisi@farajayangu.example>"
        assert mail["X-Kind"] == "report"
        assert mail["Bcc"] is None
        assert mail.get_body(("plain",)).get_content().strip() == "Habari."
        assert "<p>Habari.</p>" in mail.get_body(("html",)).get_content()
        (file,) = mail.iter_attachments()
        assert file.get_filename() == "orodha.csv"


def test_one_refused_address_does_not_hide_behind_the_others(server):
    """Django's own backend calls this sent."""
    send_mail("Habari", "Karibu.", None, ["asha@example.com", "unknown-user@example.com"])

    run_now(2)

    states = dict(Message.objects.values_list("address", "state"))
    assert states == {
        "asha@example.com": MessageState.ACCEPTED,
        "unknown-user@example.com": MessageState.FAILED,
    }


def test_email_whose_content_is_gone_is_canceled(server):
    send_mail("Habari", "Karibu.", None, ["asha@example.com"])
    Message.objects.get().notification.stored_email.delete()

    run_now(2)

    assert Message.objects.get().state == MessageState.CANCELED
    assert server.emails == []
