"""The admin shows what happened and changes none of it."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from ntc_core.outbox.services import run_due_jobs
from ntc_notify.models import DeliveryAttempt, Message, Notification
from ntc_notify.types import Recipient

from tests.people import EMAIL, PHONE, send_receipt

MODELS = [Notification, Message, DeliveryAttempt]


@pytest.fixture
def page(admin_client):
    """Return the admin client, with one notification delivered on two channels."""
    # Django's user is written out as its username, as many projects do with the email.
    user = get_user_model().objects.create(username=EMAIL)
    recipient = Recipient(email=EMAIL, phone_e164=PHONE, user=user)
    send_receipt(recipient, dedupe_key="receipt:1")
    run_due_jobs()
    return admin_client


def url(model, action, *args) -> str:
    return reverse(f"admin:ntc_notify_{model._meta.model_name}_{action}", args=args)


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_rows_are_shown_without_the_addresses(page, model):
    row = model.objects.first()
    for address in (url(model, "changelist"), url(model, "change", row.pk)):
        response = page.get(address)

        assert response.status_code == 200
        text = response.content.decode()
        assert PHONE not in text
        assert EMAIL not in text


def test_masked_address_and_state_are_shown(page):
    text = page.get(url(Message, "changelist")).content.decode()

    assert "+2557****678" in text
    assert "a***@e***" in text
    assert "delivered" in text


@pytest.mark.parametrize("model", MODELS)
def test_nothing_is_added_changed_or_deleted(page, model):
    row = model.objects.first()

    assert page.get(url(model, "add")).status_code == 403
    assert page.post(url(model, "change", row.pk), {}).status_code == 403
    assert page.post(url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_message_is_found_by_whoever_knows_the_whole_address(page):
    def found(words):
        response = page.get(url(Message, "changelist"), {"q": words})
        return response.context["cl"].result_count

    assert found(PHONE) == 1
    assert found(PHONE[:8]) == 0
    assert found("receipt:1") == 2
