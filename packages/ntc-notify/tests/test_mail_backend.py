"""Django's send_mail() goes by our road: queued, one message per person, kept until it leaves."""

from __future__ import annotations

import base64
import logging
from email.mime.image import MIMEImage

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives, mail_admins, send_mail
from django.db import transaction
from django.utils.translation import gettext_lazy
from ntc_core.outbox.models import OutboxJob
from ntc_notify.errors import InvalidRecipient, NoReachableAddress
from ntc_notify.models import Message, Notification, StoredEmail

from tests.people import count_rows

pytestmark = pytest.mark.django_db

FROM = "Faraja Yangu <no-reply@farajayangu.example>"


@pytest.fixture(autouse=True)
def _our_backend(settings):
    settings.EMAIL_BACKEND = "ntc_notify.mail_backend.EmailBackend"


def make_email(**values) -> EmailMultiAlternatives:
    return EmailMultiAlternatives(
        **{"subject": "Habari", "body": "Karibu.", "to": ["asha@example.com"]} | values
    )


def test_email_is_queued_in_the_callers_transaction():
    assert send_mail("Habari", "Karibu.", None, ["asha@example.com"]) == 1

    message = Message.objects.get()
    assert (message.channel, message.address, message.state) == (
        "email",
        "asha@example.com",
        "queued",
    )
    stored = message.notification.stored_email
    assert (stored.sender, stored.subject, stored.text) == (FROM, "Habari", "Karibu.")
    assert (stored.html, stored.headers, stored.reply_to, stored.attachments) == ("", {}, [], [])
    assert OutboxJob.objects.count() == 1


def test_email_goes_with_the_transaction_that_wrote_it():
    before = count_rows()
    with transaction.atomic():
        send_mail("Habari", "Karibu.", None, ["asha@example.com"])
        transaction.set_rollback(True)

    assert count_rows() == before
    assert StoredEmail.objects.count() == 0


def test_everybody_gets_a_message_of_their_own():
    """To, Cc and Bcc; somebody named twice gets one."""
    email = make_email(
        to=["Asha <asha@example.com>", "juma@example.com"],
        cc=["neema@example.com", "asha@example.com"],
        bcc=["zuri@example.com"],
    )

    assert email.send() == 1

    assert sorted(Message.objects.values_list("address", flat=True)) == [
        "asha@example.com",
        "juma@example.com",
        "neema@example.com",
        "zuri@example.com",
    ]
    assert StoredEmail.objects.count() == 4


def test_same_email_twice_is_two_emails():
    """Whether two calls mean one email, only the caller knows: send() takes a key."""
    for _ in range(2):
        send_mail("Habari", "Karibu.", None, ["asha@example.com"])

    assert Notification.objects.count() == 2


def test_everything_an_email_has_is_kept():
    email = make_email(
        from_email="Msaada <msaada@farajayangu.example>",
        reply_to=["Ofisi <ofisi@farajayangu.example>"],
        headers={"X-Kind": "report", "Message-ID": "<theirs@x>", "Cc": "x@example.com"},
    )
    email.attach_alternative("<p>Karibu.</p>", "text/html")
    email.attach("orodha.csv", "a;b\r\n", "text/csv; charset=utf-8")
    email.attach("risiti.pdf", b"%PDF \xff")
    email.attach("barua.eml", EmailMessage("Ndani", "Habari.", FROM, ["x@example.com"]))
    image = MIMEImage(b"GIF89a", "gif")
    image.add_header("Content-Disposition", "inline", filename="picha.gif")
    email.attach(image)

    email.send()

    stored = StoredEmail.objects.get()
    assert stored.sender == "Msaada <msaada@farajayangu.example>"
    assert stored.html == "<p>Karibu.</p>"
    assert stored.reply_to == ['"Ofisi" <ofisi@farajayangu.example>']
    # Who it is to and under which id it goes is said of each message anew.
    assert stored.headers == {"X-Kind": "report"}
    files = [(file["filename"], file["content_type"]) for file in stored.attachments]
    assert files == [
        ("orodha.csv", "text/csv"),
        ("risiti.pdf", "application/pdf"),
        ("barua.eml", "message/rfc822"),
        ("picha.gif", "image/gif"),
    ]
    contents = [base64.b64decode(file["content"]) for file in stored.attachments]
    assert contents[0] == b"a;b\r\n"
    assert contents[1] == b"%PDF \xff"
    assert b"Subject: Ndani" in contents[2]
    assert contents[3] == b"GIF89a"


def test_reply_to_in_a_header_counts_and_sender_in_a_header_wins():
    """Django knows both spellings."""
    make_email(
        headers={"reply-to": "a@example.com, B <b@example.com>", "From": "Other <o@example.com>"}
    ).send()

    stored = StoredEmail.objects.get()
    assert stored.reply_to == ["a@example.com", '"B" <b@example.com>']
    assert (stored.sender, stored.headers) == ("Other <o@example.com>", {})


def test_email_that_is_html_alone_gets_its_words_as_text():
    email = make_email(body="<h1>Habari</h1><p>Bei &amp; punguzo</p>")
    email.content_subtype = "html"

    email.send()

    stored = StoredEmail.objects.get()
    assert stored.html == "<h1>Habari</h1><p>Bei &amp; punguzo</p>"
    assert stored.text == "HabariBei & punguzo"


def test_words_that_are_translated_late_are_kept_as_they_are_now():
    send_mail(gettext_lazy("Yes"), gettext_lazy("No"), None, ["asha@example.com"])

    stored = StoredEmail.objects.get()
    assert (stored.subject, stored.text) == ("Yes", "No")


def test_mails_to_the_admins_go_the_same_road(settings):
    settings.ADMINS = ["admin@example.com"] if _has_plain_admins() else [("A", "admin@example.com")]

    mail_admins("Kosa", "Traceback\x00 …")

    assert Message.objects.get().address == "admin@example.com"
    assert StoredEmail.objects.get().text == "Traceback …"


def _has_plain_admins() -> bool:
    import django  # noqa: PLC0415 - only asked here

    return django.VERSION >= (6, 0)


def test_nobody_to_send_to_is_no_email():
    assert make_email(to=[]).send() == 0
    assert Notification.objects.count() == 0


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"subject": "Habari\nBcc: x@example.com"}, ValueError),
        ({"subject": "x" * 999}, ValueError),
        ({"from_email": f"{'x' * 500}@example.com"}, ValueError),
        ({"headers": {"X-Kind": "a\r\nBcc: x@example.com"}}, ValueError),
        ({"to": ["asha@example.com", "not an address"]}, InvalidRecipient),
        ({"attachments": [("../a.pdf", b"x", "application/pdf")]}, ValueError),
    ],
)
def test_email_that_cannot_be_sent_is_refused_at_once_and_whole(values, error):
    """And quietly, where the caller has asked for quiet."""
    with pytest.raises(error):
        make_email(**values).send()

    assert make_email(**values).send(fail_silently=True) == 0
    assert Notification.objects.count() == 0
    assert StoredEmail.objects.count() == 0


def test_alternative_that_no_provider_takes_is_refused():
    email = make_email()
    email.attach_alternative("BEGIN:VCALENDAR", "text/calendar")

    with pytest.raises(ValueError, match="text/calendar"):
        email.send()


def test_without_a_provider_the_caller_is_told(settings):
    settings.NTC_EMAIL_PROVIDERS = {}

    with pytest.raises(NoReachableAddress, match="NTC_EMAIL_PROVIDERS"):
        send_mail("Habari", "Karibu.", None, ["asha@example.com"])


def test_logs_say_neither_address_nor_body(caplog):
    with caplog.at_level(logging.DEBUG, logger="ntc_notify"):
        send_mail("Siri", "Namba yako ni 481516", None, ["asha@example.com"])

    assert "message.queued" in caplog.text
    for secret in ("asha@example.com", "481516", "Siri"):
        assert secret not in caplog.text
