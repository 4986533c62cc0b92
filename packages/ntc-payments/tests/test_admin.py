"""The admin: everything to see, nothing to change."""

from __future__ import annotations

import pytest
from django.urls import reverse
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_payments import services
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent
from ntc_payments.types import Claim, FailureCode, Observation, Source

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client):
    """Return Django's client, signed in as a superuser."""
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("model", ["payment", "paymentattempt", "paymentevent"])
def test_lists_and_details_show_the_payment_without_its_number(staff, start, model):
    """Attempts and the timeline are on the payment's own page."""
    payment = start()
    run_due_jobs()
    attempt = payment.attempts.get()
    row = {
        "payment": payment,
        "paymentattempt": attempt,
        "paymentevent": PaymentEvent.objects.last(),
    }[model]

    listing = staff.get(reverse(f"admin:ntc_payments_{model}_changelist"))
    detail = staff.get(reverse(f"admin:ntc_payments_{model}_change", args=[row.pk]))

    assert (listing.status_code, detail.status_code) == (200, 200)
    assert attempt.reference in detail.content.decode()
    assert "255712345678" not in detail.content.decode()
    assert "712345678" not in listing.content.decode()


def test_payment_is_found_by_the_companys_reference(staff, start):
    """What a payer reads out on the phone."""
    payment, other = start(), start()
    run_due_jobs()
    provider_ref = payment.attempts.get().provider_ref

    page = staff.get(
        reverse("admin:ntc_payments_payment_changelist"), {"q": provider_ref}
    ).content.decode()

    assert str(payment.uid) in page
    assert str(other.uid) not in page


def test_list_masks_a_payer_who_is_named_by_a_phone(staff, start):
    """As a project without names writes a user out."""
    payment = start(payer=make_user(username="+255765432109"))

    listing = staff.get(reverse("admin:ntc_payments_payment_changelist")).content.decode()
    detail = staff.get(
        reverse("admin:ntc_payments_payment_change", args=[payment.pk])
    ).content.decode()

    for page in (listing, detail):
        assert "+2557****109" in page
        assert "765432109" not in page
    assert f'<span title="{payment.uid}">…{str(payment.uid)[-8:]}</span>' in listing
    assert f"/user/{payment.payer_id}/change/" in detail


def test_timeline_tells_each_line_as_it_was_then(staff, start, simulator):
    """Not how the attempt is by now."""
    payment = start()
    run_due_jobs()
    observation = Observation(
        reference=payment.attempts.get().reference,
        claim=Claim.FAILURE,
        failure_code=FailureCode.DECLINED,
    )
    services.apply_observation(
        attempt_id=payment.attempts.get().pk, observation=observation, source=Source.WEBHOOK
    )

    detail = staff.get(reverse("admin:ntc_payments_payment_change", args=[payment.pk]))
    listing = staff.get(reverse("admin:ntc_payments_paymentevent_changelist"))

    for page in (detail.content.decode(), listing.content.decode()):
        assert "attempt: created → sending (system)" in page
        assert "observation: failure, pending → failed (webhook)" in page
        assert f"{payment.attempts.get().reference} failed" not in page


@pytest.mark.parametrize("model", [Payment, PaymentAttempt, PaymentEvent])
def test_nobody_adds_changes_or_deletes(staff, start, model):
    """Not even a superuser: a status changes by observations only."""
    start()
    name = f"admin:ntc_payments_{model._meta.model_name}"
    pk = model.objects.first().pk

    assert staff.get(reverse(f"{name}_add")).status_code == 403
    assert staff.post(reverse(f"{name}_change", args=[pk]), {"status": "failed"}).status_code == 403
    assert staff.post(reverse(f"{name}_delete", args=[pk]), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=pk).exists()


def test_payment_without_a_number_shows_none(staff, start, settings):
    """A page needs no phone."""
    settings.NTC_PAYMENT_PROVIDERS = {"hosted": {"class": "tests.companies.HostedProvider"}}
    payment = start(method="hosted_checkout", phone=None)

    page = staff.get(reverse("admin:ntc_payments_payment_change", args=[payment.pk]))

    assert page.status_code == 200
