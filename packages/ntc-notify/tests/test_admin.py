"""The admin shows what happened; staff send again, look at templates, suppress addresses."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_notify import services
from ntc_notify.models import DeliveryAttempt, Message, Notification, Preference, Suppression
from ntc_notify.types import Channel, Recipient, SendOutcome

from tests.people import (
    EMAIL,
    PHONE,
    deliver_receipt,
    send_receipt,
    send_receipt_by_sms,
    state_of,
)

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


def test_key_that_names_a_person_is_masked(admin_client):
    """As `notify send` makes it of a file without keys."""
    row = send_receipt(dedupe_key=f"december:{PHONE}+{EMAIL}")

    for address in (url(Notification, "changelist"), url(Notification, "change", row.pk)):
        text = admin_client.get(address).content.decode()
        assert "december:" in text
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


# What staff do.


@pytest.fixture
def held(db, sms_company) -> Message:
    """Return a message of which nobody knows whether it left."""
    sms_company.answers = [SendOutcome.unknown("silence")]
    message = send_receipt_by_sms()
    run_due_jobs()
    return message


def act(client, model, action, *rows):
    body = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(url(model, "changelist"), body, follow=True)


def test_held_message_is_sent_again_under_the_same_id(admin_client, held, sms_company):
    response = act(admin_client, Message, "resend", held)
    run_due_jobs()

    assert b"1 of 1 will be sent again." in response.content
    first, second = sms_company.received
    assert first.provider_uid == second.provider_uid
    assert state_of(held) == "accepted"


def test_message_that_was_never_tried_is_sent_again_as_often_as_it_takes(
    admin_client, sms_company, settings
):
    """Nothing tells one "send again" from the next but that somebody said so."""
    settings.NTC_NOTIFY_MAX_SMS_SEGMENTS = 0
    message = send_receipt_by_sms()
    run_due_jobs()
    act(admin_client, Message, "resend", message)
    run_due_jobs()
    assert (state_of(message), message.attempts.count()) == ("failed", 0)

    settings.NTC_NOTIFY_MAX_SMS_SEGMENTS = 10
    act(admin_client, Message, "resend", message)
    run_due_jobs()

    assert state_of(message) == "accepted"


def test_what_has_arrived_is_not_sent_again(page):
    message = Message.objects.first()

    response = act(page, Message, "resend", message)

    assert b"0 of 1 will be sent again." in response.content
    assert state_of(message) == "delivered"


def test_sending_again_needs_its_permission(client, held):
    staff = make_user(username="staff", is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_message"))
    client.force_login(staff)

    act(client, Message, "resend", held)

    assert state_of(held) == "unknown"


def test_receipts_are_shown_with_their_attempt(admin_client, held, sms_company):
    uid = str(sms_company.received[0].provider_uid)
    deliver_receipt("alpha", {"state": "delivered", "uid": uid, "reason": "on the phone"})
    run_due_jobs()

    text = admin_client.get(url(DeliveryAttempt, "change", held.attempts.get().pk)).content.decode()

    assert "on the phone" in text


def test_preview_shows_text_segments_and_cost(admin_client, settings):
    settings.NTC_SMS_PRICES = {"mailbox": ("22.50", "TZS")}
    preview = reverse("admin:ntc_notify_preview")

    text = admin_client.get(
        preview, {"kind": "receipt", "v_name": "<b>Asha", "v_amount": "5" * 200}
    ).content.decode()

    assert "&lt;b&gt;Asha" in text
    assert "<b>Asha" not in text
    assert "2 segments" in text
    assert "mailbox: 45.00 TZS" in text
    assert admin_client.get(preview, {"kind": "nothing"}).status_code == 200


def test_preview_is_for_staff(client):
    assert client.get(reverse("admin:ntc_notify_preview")).status_code == 302


def add_suppression(client, **changes):
    body = {"channel": "sms", "address": PHONE, "kind": "", "detail": "asked by phone", **changes}
    return client.post(url(Suppression, "add"), body)


def test_staff_suppress_an_address_and_lift_it(admin_client, sms_company):
    assert add_suppression(admin_client).status_code == 302
    message = send_receipt_by_sms()
    run_due_jobs()
    assert state_of(message) == "suppressed"
    row = Suppression.objects.get()
    assert (row.reason, row.source, row.actor.username) == ("manual", "staff", "admin")

    act(admin_client, Suppression, "lift", row)

    later = send_receipt_by_sms()
    run_due_jobs()
    assert state_of(later) == "accepted"
    text = admin_client.get(url(Suppression, "changelist")).content.decode()
    assert "+2557****678" in text
    assert PHONE not in text
    assert admin_client.get(url(Suppression, "change", row.pk)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"address": "nonsense"},
        {"channel": "email"},
        {"channel": "inapp"},
        {"kind": "nothing"},
        {"address": ""},
    ],
)
def test_suppression_that_makes_no_sense_is_refused(admin_client, changes):
    response = add_suppression(admin_client, **changes)

    assert response.status_code == 200
    assert not Suppression.objects.exists()


def test_suppressing_twice_is_one_row(admin_client):
    for _ in range(2):
        assert add_suppression(admin_client).status_code == 302

    assert Suppression.objects.count() == 1


def test_preferences_are_shown(admin_client, django_user_model):
    user = django_user_model.objects.first()
    services.set_preference(user=user, kind="news", channel=Channel.SMS, is_on=False)

    assert admin_client.get(url(Preference, "changelist")).status_code == 200


def test_preview_is_for_those_who_may_see_notifications(db, client):
    client.force_login(make_user(username="staff", is_staff=True))

    assert client.get(reverse("admin:ntc_notify_preview")).status_code == 403
