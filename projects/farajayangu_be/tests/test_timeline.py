"""The admin tells a payment with the messages about it, which another package sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from apps.common import demo
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from ntc_core.outbox.services import run_due_jobs
from ntc_payments.selectors import list_payments

from .test_receivers import EMAIL, PHONE, company, mailbox, pay, user

__all__ = ["company", "mailbox", "user"]  # fixtures

pytestmark = pytest.mark.django_db(transaction=True)


def read_story(payment: Any) -> tuple[Client, str]:
    """Return staff who are signed in, and the page that they read."""
    _, account = demo.list_demo_accounts()
    staff = Client()
    form = {"username": account.email, "password": account.password}
    assert staff.post(reverse("admin:login"), form).status_code == 302
    page = staff.get(reverse("admin:ntc_payments_payment_change", args=[payment.pk]))
    return staff, page.content.decode()


@pytest.mark.parametrize("approve", [True, False])
def test_messages_about_a_payment_are_in_its_story(user, company, mailbox, approve):
    """With a link to the whole, and without the address."""
    user.email_verified_at = timezone.now()
    user.save()
    pay(user, company, approve=approve)
    sent = mailbox()
    payment = list_payments(payer=user).get()

    staff, story = read_story(payment)

    news = "receipt" if approve else "payment failed"
    assert len(sent) == 2
    for channel in ("sms", "email"):
        assert re.search(rf"{news} by {channel} to [^;<]+; now ", story)
    assert PHONE not in story
    assert EMAIL not in story
    [link, *_] = re.findall(r'href="(/admin/ntc_notify/message/[0-9]+/change/)"', story)
    assert staff.get(link).status_code == 200


def test_messages_about_other_payments_are_not(user, company, mailbox):
    pay(user, company)
    mailbox()
    first = list_payments(payer=user).get()
    first.pk, first.uid = None, "01999999-9999-7999-8999-999999999999"
    first.idempotency_key = "another purchase"
    first.save(force_insert=True)
    run_due_jobs()

    _, story = read_story(first)

    assert "receipt by" not in story
