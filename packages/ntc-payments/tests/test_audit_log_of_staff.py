"""What the log keeps of what staff do with money: who it was, by number and never by name."""

from __future__ import annotations

import pytest
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_payments import services
from ntc_payments.models import Break
from ntc_payments.services.breaks import close_break
from ntc_payments.services.refunding import REFUND_CALLS
from ntc_payments.types import Claim, Observation, Source, Subject

from tests.test_audit_log import lines
from tests.test_observing import observe
from tests.test_payouts import pay_out
from tests.test_refunds import company, paid, run_everything

__all__ = ["company", "lines", "paid", "pay_out"]  # fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff():
    """Return somebody whose account is called after them."""
    return make_user(username="asha", email="juma@example.com")


def test_refund_names_who_asked_for_it(paid, lines, staff):
    """By number; and the way that the money goes."""
    payment = paid()
    refund = services.refund_payment(
        payment=payment, reason="x", idempotency_key="k", requested_by=staff
    )
    run_everything()
    REFUND_CALLS.apply(
        refund.pk,
        Observation(reference=refund.reference, subject=Subject.REFUND, claim=Claim.SUCCESS),
        source=Source.WEBHOOK,
    )

    [line] = lines("payment.refund_created")
    assert (line["refund"], line["by"], line["route"]) == (
        str(refund.uid),
        str(staff.pk),
        "provider",
    )
    moves = [(line["subject"], line["to"]) for line in lines("payment.money_out_moved")]
    assert moves[-1] == ("refund", "succeeded")


def test_refund_by_a_policy_names_nobody(paid, lines):
    services.refund_payment(payment=paid(), reason="policy", idempotency_key="k")

    [line] = lines("payment.refund_created")
    assert line["by"] == ""


def test_payout_names_who_made_it_and_who_decided_its_end(pay_out, lines, staff, company):
    payout = pay_out(created_by=staff)
    run_due_jobs()
    type(payout).objects.update(status="unknown")

    services.resolve_payout(
        payout_uid=payout.uid, outcome="failed", by=staff, resolution="See the dashboard."
    )

    [made] = lines("payment.payout_created")
    [decided] = lines("payment.resolved_by_staff")
    assert (made["payout"], made["by"]) == (str(payout.uid), str(staff.pk))
    assert (decided["subject"], decided["reference"]) == ("payout", payout.reference)
    assert (decided["outcome"], decided["by"]) == ("failed", str(staff.pk))


def test_refund_that_staff_decided_names_them(paid, lines, staff):
    refund = services.refund_payment(
        payment=paid(), reason="x", idempotency_key="k", route="manual", requested_by=staff
    )

    services.resolve_refund(
        refund_uid=refund.uid, outcome="succeeded", by=staff, resolution="Paid in cash."
    )

    [line] = lines("payment.resolved_by_staff")
    assert (line["subject"], line["outcome"], line["by"]) == ("refund", "succeeded", str(staff.pk))


def test_break_is_a_line_when_it_opens_and_one_with_a_name_when_it_closes(paid, lines, staff):
    observe(paid().attempts.get(), Claim.FAILURE)
    [found] = Break.objects.all()

    close_break(break_uid=found.uid, by=staff, resolution="It is paid.")

    [opened] = lines("payment.break_opened")
    [closed] = lines("payment.break_closed")
    assert (opened["break"], opened["kind"]) == (str(found.uid), "contradiction")
    assert (closed["break"], closed["by"]) == (str(found.uid), str(staff.pk))


def test_break_that_answers_itself_says_so(paid, lines):
    attempt = paid().attempts.get()
    observe(attempt, Claim.FAILURE)

    observe(attempt, Claim.SUCCESS, Source.POLL)

    [line] = lines("payment.breaks_resolved")
    assert line["resolution"] == "Confirmed as paid by poll."
