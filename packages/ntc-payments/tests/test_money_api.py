"""Refunds and payouts over HTTP: staff with the permission, and nobody else."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import Permission
from ntc_core.testing import assert_error, assert_success
from ntc_payments.models import Payout, Refund

from tests.test_refunds import company, paid, run_everything

__all__ = ["company", "paid"]  # fixtures

pytestmark = pytest.mark.django_db

PAYOUTS = "/api/v1/payouts/"
WAGES = {
    "method": "mobile_wallet",
    "amount": "5000",
    "phone": "0712345678",
    "purpose": "wages:7",
    "description": "Wages",
}


def refunds_of(payment) -> str:
    return f"/api/v1/payments/{payment.uid}/refunds/"


@pytest.fixture
def staff(user, api_client):
    """Return the client of a person who may give back and pay out."""
    user.is_staff = True
    user.save()
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["refund_payment", "create_payout"])
    )
    return signed_in(api_client, user)


def signed_in(client, user):
    """Return the client of this person, who is read anew: rights are remembered by the object."""
    client.force_authenticate(type(user).objects.get(pk=user.pk))
    return client


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def test_staff_give_back_a_part_and_see_it(staff, paid, company):
    payment = paid()
    company.outcome = "DONE"

    response = staff.post(
        refunds_of(payment), {"amount": "5000.00", "reason": "Rain"}, headers=key()
    )
    run_everything()

    data = assert_success(response, 201)
    assert (data["amount"], data["currency"], data["route"]) == ("5000.00", "TZS", "provider")
    [listed] = assert_success(staff.get(refunds_of(payment)))["results"]
    assert listed["status"] == "succeeded"
    assert Refund.objects.get().requested_by is not None


def test_giving_back_is_limited_and_looking_is_not(staff, paid, settings):
    """A screen that shows what was given back must not use up what may be given back."""
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"payments": "1/min"},
    }
    payment = paid()
    for _ in range(3):
        assert_success(staff.get(refunds_of(payment)))
    some = {"amount": "5", "reason": "Rain"}

    assert_success(staff.post(refunds_of(payment), some, headers=key()), 201)

    answer = staff.post(refunds_of(payment), some, headers=key())
    assert_error(answer, 429, code="throttled")


def test_same_key_gives_back_once(staff, paid):
    payment, header = paid(), key()

    first, second = (
        assert_success(staff.post(refunds_of(payment), {"reason": "Rain"}, headers=header), 201)
        for _ in range(2)
    )

    assert first["uid"] == second["uid"]
    other = staff.post(refunds_of(payment), {"reason": "Snow"}, headers=header)
    assert_error(other, 422, code="idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"reason": "x", "amount": "1.001"}, "amount"),
        ({"reason": "x", "amount": "much"}, "amount"),
        ({"reason": "x", "amount": "15000.01"}, "amount"),
        ({"amount": "1"}, "reason"),
        ({"reason": "x", "route": "pigeon"}, "route"),
    ],
)
def test_refund_that_cannot_be_names_the_field(staff, paid, body, attr):
    assert_error(staff.post(refunds_of(paid()), body, headers=key()), 400, attr=attr)

    assert not Refund.objects.exists()


def test_refund_and_payout_need_a_key(staff, paid, company):
    """A staff member who clicks twice must not pay twice."""
    refund = staff.post(refunds_of(paid()), {"reason": "x"})
    payout = staff.post(PAYOUTS, WAGES)

    assert_error(refund, 400, attr="Idempotency-Key", code="required")
    assert_error(payout, 400, attr="Idempotency-Key", code="required")


def test_staff_pay_out_and_see_what_became_of_it(staff, company):
    """Numbers are masked, also those of accounts."""
    company.outcome = "DONE"
    wallet = assert_success(staff.post(PAYOUTS, WAGES, headers=key()), 201)
    bank = assert_success(
        staff.post(
            PAYOUTS,
            {
                **WAGES,
                "method": "bank_account",
                "bank_code": "CRDB",
                "account_number": "0150123456",
                "receiver_name": "Asha Juma",
            },
            headers=key(),
        ),
        201,
    )
    run_everything()

    assert "712345" not in str(wallet)
    assert "0150123" not in str(bank)
    assert bank["account"] == "CRDB …3456"
    data = assert_success(staff.get(f"{PAYOUTS}{wallet['uid']}/"))
    assert (data["status"], data["fee"]) == ("succeeded", "50.00")


def test_preview_moves_nothing(staff, company):
    asked = {name: WAGES[name] for name in ("method", "amount", "phone")}

    data = assert_success(staff.post(f"{PAYOUTS}preview/", asked))

    assert data == {"fee": "50.00", "receiver_name": "ASHA JUMA"}
    assert company.made == []
    assert not Payout.objects.exists()


@pytest.mark.parametrize(
    ("changes", "attr"),
    [
        ({"amount": "x"}, "amount"),
        ({"amount": "0"}, "amount"),
        ({"currency": "XXX"}, "currency"),
        ({"phone": "12"}, "phone"),
        ({"method": "pigeon"}, "method"),
        ({"purpose": ""}, "purpose"),
    ],
)
def test_payout_that_cannot_be_names_the_field(staff, company, changes, attr):
    assert_error(staff.post(PAYOUTS, {**WAGES, **changes}, headers=key()), 400, attr=attr)

    assert not Payout.objects.exists()


def test_what_is_not_there_is_not_found(staff, company):
    nobody = "01999999-9999-7999-8999-999999999999"

    assert_error(staff.get(f"{PAYOUTS}{nobody}/"), 404)
    assert_error(
        staff.post(f"/api/v1/payments/{nobody}/refunds/", {"reason": "x"}, headers=key()), 404
    )


def test_payers_may_not(api_client, user, paid):
    """Not even their own payment; nor with the permission, without being staff."""
    payment = paid(payer=user)
    for permissions in ([], Permission.objects.all()):
        user.user_permissions.set(permissions)
        for path in (refunds_of(payment), PAYOUTS, f"{PAYOUTS}preview/"):
            answer = signed_in(api_client, user).post(path, {}, headers=key())
            assert_error(answer, 403)

    assert not Refund.objects.exists()
