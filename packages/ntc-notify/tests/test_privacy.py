"""After a run with everything in it, no log line names a person or says what they were told."""

from __future__ import annotations

import logging

import pytest
from django.db import connection
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_notify.errors import NotifyError
from ntc_notify.types import Recipient, SendOutcome

from tests import scripted
from tests.people import FACTS, run_now, send_receipt
from tests.project import CODES
from tests.smtp_server import run_smtp

PHONE, CODE, NAME = "+255788990011", "730158", "Mwanaidi"
EMAILS = [
    f"{story}@example.com" for story in ("mwanaidi", "unknown-user", "greylisted", "spam", "lost")
]
SECRETS = [PHONE, PHONE[1:], CODE, NAME, *EMAILS, "Kumbukumbu", "uthibitisho"]


@pytest.mark.django_db
def test_no_log_line_holds_an_address_a_code_or_a_body(settings, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    CODES["c1"] = CODE
    company = scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"])["alpha"]
    company.answers = [
        SendOutcome.refused(f"{PHONE} is barred"),
        SendOutcome.unknown(f"no answer for {PHONE}"),
        ValueError(f"{PHONE}: Kumbukumbu"),
    ]
    facts = FACTS | {"name": NAME}
    with run_smtp() as server:
        settings.NTC_EMAIL_PROVIDERS = {
            "smtp": {"host": "127.0.0.1", "port": server.port, "security": "none"}
        }
        for number, email in enumerate(EMAILS):
            recipient = Recipient(email=email, phone_e164=PHONE)
            send_receipt(recipient, context=facts, dedupe_key=str(number))
            send_receipt(
                recipient,
                kind="verification_code",
                context={"challenge_uid": "c1", "minutes": 5},
                dedupe_key=str(number),
            )
        with pytest.raises(NotifyError):
            send_receipt(recipient, context={"name": NAME}, dedupe_key="x")
        for _ in range(4):
            bring_forward(OutboxJob.objects.all())
            run_due_jobs()

    # The server of the test is somebody else, and talks about its clients.
    ours = [record for record in caplog.records if record.name != "mail.log"]
    events = {record.message for record in ours}
    assert {"message.queued", "message.tried", "provider.broken"} <= events
    formatter = logging.Formatter()
    lines = [formatter.format(record) + repr(vars(record)) for record in ours]
    printed = capfd.readouterr()
    for secret in SECRETS:
        assert not [line for line in lines if secret in line], secret
        assert secret not in printed.out + printed.err
    errors = OutboxJob.objects.values_list("last_error", flat=True)
    assert not [error for error in errors if any(secret in error for secret in SECRETS)]


@pytest.mark.django_db
def test_no_row_of_any_table_holds_a_code(sms_company, mailbox):
    """Sent, refused, broken, tried again: it is asked for each time, and kept nowhere."""
    CODES["c1"] = CODE
    sms_company.answers = [
        SendOutcome.retry("busy"),
        SendOutcome.unknown("silence"),
        SendOutcome.refused("no such number"),
        RuntimeError(CODE),
    ]
    for number in range(5):
        recipient = Recipient(email=EMAILS[0], phone_e164=PHONE)
        context = {"challenge_uid": "c1", "minutes": 5}
        send_receipt(recipient, kind="verification_code", context=context, dedupe_key=str(number))
    run_now(5)

    assert any(CODE in sms.text for sms in sms_company.received)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - ours
            assert CODE not in repr(cursor.fetchall()), table
