"""Where the packages meet: who is told what, in which language, and what may not go wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from apps.accounts.models import User
from apps.common import demo
from apps.subscriptions.models import Plan, Subscription
from apps.subscriptions.services import subscribe
from django.conf import settings as django_settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.utils import timezone
from farajayangu_be.settings import base
from ntc_core.auth.services import issue_code, redeem_code
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_core.realtime import stream_of
from ntc_core.realtime.models import RealtimeEvent
from ntc_core.testing import assert_error, assert_success
from ntc_payments.services import poll_due
from ntc_payments.testing import RunningSimulator, running_simulator

from .processes import PROJECT_DIR

PHONE, EMAIL = "+255713200001", "asha@example.com"


@pytest.fixture
def mailbox(tmp_path, settings) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that runs what is due and returns every message, oldest first."""
    options = {"mailbox": {"directory": str(tmp_path)}}
    settings.NTC_EMAIL_PROVIDERS, settings.NTC_SMS_PROVIDERS = options, options

    def read() -> list[dict[str, Any]]:
        run_due_jobs()
        messages = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
        return sorted(messages, key=lambda message: str(message["sent_at"]))

    return read


@pytest.fixture
def user(db: None) -> User:
    """Return a customer who has proven a phone, and claims an email address."""
    return User.objects.create_user(
        phone=PHONE, email=EMAIL, password="maji-ya-kunywa-7", phone_verified_at=timezone.now()
    )


@pytest.fixture
def company(settings) -> Any:
    """Return the pretend company; its callbacks find nobody, so we ask it instead."""
    with running_simulator(callback_url="http://127.0.0.1:9/") as simulator:
        settings.NTC_PAYMENT_PROVIDERS = {"simulator": simulator.options}
        yield simulator


def pay(user: User, company: RunningSimulator, *, approve: bool = True) -> None:
    """Buy the first plan and answer the prompt."""
    demo.seed()
    plan = Plan.objects.get(code="siku-7")
    payment = subscribe(
        user=user, plan_uid=plan.uid, method="mobile_push", idempotency_key="one purchase"
    )
    run_due_jobs()
    reference = payment.current_attempt.reference
    if approve:
        company.approve(reference=reference)
    else:
        company.decline(reference=reference)
    payment.attempts.update(next_poll_at=timezone.now())
    poll_due()


def test_a_code_is_sent_on_the_channel_it_proves_and_stored_nowhere(db, mailbox):
    issue_code(purpose="x", destination=PHONE, channel="sms", context={"language": "sw"})
    issue_code(purpose="x", destination=EMAIL, channel="email", context={"language": "en"})

    sms, email = mailbox()

    assert (sms["to"], sms["channel"]) == (PHONE, "sms")
    assert re.match(r"^[0-9]{6} ni namba yako", sms["body"])
    assert "dakika 5" in sms["body"]
    assert (email["to"], email["channel"]) == (EMAIL, "email")
    assert email["subject"] == "Your verification code"
    code = re.search(r"\b[0-9]{6}\b", email["body"]).group()
    assert redeem_code(purpose="x", destination=EMAIL, code=code)


def test_a_code_that_was_replaced_is_not_sent_any_more(db, mailbox, settings):
    settings.NTC_CODE_RESEND_SECONDS = 0
    issue_code(purpose="x", destination=PHONE, channel="sms")
    issue_code(purpose="x", destination=PHONE, channel="sms")

    messages = mailbox()

    assert len(messages) == 1
    assert not OutboxJob.objects.exclude(state="done").exists(), "It is canceled, not retried."


@pytest.mark.parametrize("phone", ["0713 200 001", "0713 200 002"])
def test_without_a_provider_nobody_signs_up_and_only_the_log_says_why(
    api_client, user, settings, caplog, phone
):
    """The same answer with and without an account."""
    settings.NTC_SMS_PROVIDERS = {}

    answer = api_client.post(
        "/api/v1/accounts/register/", {"phone": phone, "password": "nywila-nyingine-9"}
    )

    body = assert_error(answer, 503, code="unavailable")
    assert "PROVIDERS" not in str(body)
    (record,) = [record for record in caplog.records if record.msg == "code.cannot_be_sent"]
    assert record.levelname == "ERROR"
    assert (record.channel, "SMS_PROVIDERS" in record.hint) == ("sms", True)


def test_the_owner_of_an_account_is_told_and_gets_no_code(api_client, user, mailbox):
    answer = api_client.post(
        "/api/v1/accounts/register/",
        {"phone": "0713 200 001", "password": "nywila-nyingine-9", "language": "en"},
    )

    assert_success(answer, 202)
    (message,) = mailbox()
    assert message["to"] == PHONE
    assert message["body"].startswith("You already have a Faraja Yangu account")
    assert not re.search(r"[0-9]{6}", message["body"])


@pytest.mark.django_db(transaction=True)
def test_a_receipt_goes_to_the_proven_address_only_and_once(user, company, mailbox):
    """The email address is only claimed: it may be somebody else's."""
    pay(user, company)

    (receipt,) = mailbox()
    mailbox()

    assert receipt["to"] == PHONE
    assert receipt["body"].startswith("Asante! Tumepokea TZS 2,000 kwa Wiki moja.")
    active_until = Subscription.objects.get(user=user).ends_at
    assert re.search(rf"hadi [0-3]\d/[01]\d/{active_until.year}\.", receipt["body"])


@pytest.mark.django_db(transaction=True)
def test_a_receipt_is_in_the_language_of_the_payer(user, company, mailbox):
    User.objects.update(language="en", email_verified_at=timezone.now())
    user.refresh_from_db()

    pay(user, company)

    by_channel = {message["channel"]: message for message in mailbox()}
    assert by_channel["sms"]["body"].startswith("Thank you! We received TZS 2,000 for One week.")
    assert by_channel["email"]["subject"] == "Receipt: TZS 2,000"


@pytest.mark.django_db(transaction=True)
def test_a_declined_payment_is_told(user, company, mailbox):
    pay(user, company, approve=False)

    (message,) = mailbox()

    assert message["body"].startswith(
        "Malipo ya TZS 2,000 kwa Wiki moja hayakufanikiwa: yalikataliwa kwenye simu. "
    )


@pytest.mark.parametrize("channel", ["sms", "email"])
@pytest.mark.parametrize(
    ("failure", "in_swahili", "in_english"),
    [
        ("declined", "hayakufanikiwa: yalikataliwa kwenye simu. ", "was declined on the phone. "),
        (
            "timed_out",
            "hayakufanikiwa: muda wa kuyathibitisha uliisha. ",
            "was not approved on the phone in time. ",
        ),
        (
            "insufficient_funds",
            "hayakufanikiwa: salio halitoshi. ",
            "failed: there is not enough money in the account. ",
        ),
        ("provider_unreachable", "hayakufanikiwa. ", "did not go through. "),
        ("", "hayakufanikiwa. ", "did not go through. "),
    ],
)
def test_a_failure_is_told_in_words_that_help(channel, failure, in_swahili, in_english):
    """Who has no money must do something else than who was too slow."""
    facts = {"amount": "TZS 2,000", "description": "X", "reference": "P1", "failure": failure}

    for language, words in (("sw", in_swahili), ("en", in_english)):
        text = render_to_string(f"ntc_notify/payment_failed/{channel}.{language}.txt", facts)
        assert f" X {words}" in text


@pytest.mark.django_db(transaction=True)
def test_a_payer_who_cannot_be_told_has_what_they_paid_for(user, company, settings):
    """No SMS company is configured: the subscription must not wait for one."""
    settings.NTC_SMS_PROVIDERS = {}

    pay(user, company)
    run_due_jobs()

    assert Subscription.objects.get(user=user).is_active


def test_every_kind_has_its_templates_in_both_languages():
    folder = PROJECT_DIR / "farajayangu_be" / "templates" / "ntc_notify"
    expected = {
        f"{kind}/{channel}.{language}.txt"
        for kind, options in django_settings.NTC_NOTIFY_KINDS.items()
        for channel in options["channels"]
        for language in ("sw", "en")
    }

    assert {str(path.relative_to(folder)) for path in folder.rglob("*.txt")} == expected


def test_what_django_sends_goes_by_our_road(db, settings, mailbox):
    """pytest-django puts its own backend there; this is the one of the settings."""
    settings.EMAIL_BACKEND = base.EMAIL_BACKEND

    send_mail("Taarifa", "Habari za leo.", None, [EMAIL])

    (message,) = mailbox()
    assert (message["to"], message["subject"]) == (EMAIL, "Taarifa")
    assert message["body"].strip() == "Habari za leo."


def test_who_pays_is_told_over_the_live_channel(user, company, mailbox):
    """Rows, so that a phone that is away hears of it when it comes back."""
    pay(user, company)
    mailbox()

    events = RealtimeEvent.objects.filter(stream=stream_of(user)).order_by("id")
    payments = [row.data for row in events if row.event == "payment.updated"]
    assert {data["uid"] for data in payments} == {str(user.payments.get().uid)}
    assert payments[-1]["status"] == "succeeded"
    items = [row.data for row in events if row.event == "inbox.item_created"]
    assert [data["kind"] for data in items] == ["receipt"]
    assert "2000" not in str(items)
