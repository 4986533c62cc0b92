"""What an account may do a second is kept to, and nobody waits in a worker for long."""

from __future__ import annotations

import pytest
from ntc_core import rate_limits
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import run_due_jobs
from ntc_notify.registry import SMS_PROVIDERS
from ntc_notify.services.pacing import take_turn
from ntc_notify.types import Channel

from tests import scripted
from tests.people import run_now, send_receipt_by_sms, state_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_counts():
    rate_limits.forget_local()
    yield
    rate_limits.forget_local()


def test_provider_declares_its_rate(settings):
    company = scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"], calls_per_second=0.01)
    first, second = send_receipt_by_sms(), send_receipt_by_sms()

    run_due_jobs()

    assert len(company["alpha"].received) == 1
    assert (state_of(first), state_of(second)) == ("accepted", "queued")
    waiting = OutboxJob.objects.get(state="queued")
    assert "takes no more" in waiting.last_error
    assert waiting.attempts == 0, "waiting is no failure"


def test_setting_wins_over_what_the_provider_declares(settings):
    settings.NTC_NOTIFY_CALLS_PER_SECOND = {"alpha": 1000}
    company = scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"], calls_per_second=0.01)
    for _ in range(5):
        send_receipt_by_sms()

    run_due_jobs()

    assert len(company["alpha"].received) == 5


def test_rate_of_nobody_is_no_limit(sms_company):
    for _ in range(20):
        send_receipt_by_sms()
    run_due_jobs()

    assert len(sms_company.received) == 20


@pytest.mark.parametrize(("rate", "allowed"), [(3, 3), (2.9, 2), (0.5, 1)])
def test_so_many_calls_are_allowed_at_once(settings, rate, allowed):
    settings.NTC_NOTIFY_CALLS_PER_SECOND = {"alpha": rate}
    scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"])
    provider = SMS_PROVIDERS.get("alpha")

    waits = [take_turn(Channel.SMS, "alpha", provider) for _ in range(5)]

    assert waits[:allowed] == [0.0] * allowed
    assert all(0 < wait <= max(1, 1 / rate) for wait in waits[allowed:])


def test_emails_and_sms_of_one_company_have_their_own_turns(settings):
    settings.NTC_NOTIFY_CALLS_PER_SECOND = {"alpha": 1}
    scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"])
    provider = SMS_PROVIDERS.get("alpha")

    assert take_turn(Channel.SMS, "alpha", provider) == 0.0
    assert take_turn(Channel.EMAIL, "alpha", provider) == 0.0


def test_waiting_message_is_sent_in_the_end(settings):
    company = scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"], calls_per_second=1)
    messages = [send_receipt_by_sms() for _ in range(2)]
    run_due_jobs()
    rate_limits.forget_local()

    run_now()

    assert {state_of(message) for message in messages} == {"accepted"}
    assert len(company["alpha"].received) == 2
