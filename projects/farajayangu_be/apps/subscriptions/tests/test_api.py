"""Plans and subscriptions over HTTP."""

from __future__ import annotations

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from ntc_core.auth.services import sign_in
from ntc_core.testing import assert_error, assert_success
from ntc_payments.selectors import get_payment, list_payments

from apps.subscriptions.models import Plan
from apps.subscriptions.services import grant_paid_period

PLANS = "/api/v1/plans/"
SUBSCRIBE = "/api/v1/subscriptions/"
MINE = "/api/v1/subscriptions/me/"


def test_plans_are_public_and_in_order(api_client, plan, week):
    Plan.objects.filter(pk=plan.pk).update(order=9)

    data = assert_success(api_client.get(PLANS))

    assert data["count"] == 2
    assert [each["code"] for each in data["results"]] == ["wiki", "mwezi"]
    assert data["results"][1] == {
        "uid": str(plan.uid),
        "code": "mwezi",
        "name": "mwezi en",
        "description": "",
        "amount": "5000.00",
        "currency": "TZS",
        "period_days": 30,
    }


def test_plans_are_shown_to_a_client_whose_token_has_expired(api_client, plan):
    api_client.credentials(HTTP_AUTHORIZATION="Bearer expired")

    assert_success(api_client.get(PLANS))


def test_plans_are_in_the_language_the_client_asks_for(api_client, plan):
    data = assert_success(api_client.get(PLANS, HTTP_ACCEPT_LANGUAGE="sw"))

    assert data["results"][0]["name"] == "mwezi sw"


def test_a_withdrawn_plan_is_neither_listed_nor_sold(signed_in_client, user, plan):
    Plan.objects.update(is_active=False)

    assert assert_success(signed_in_client.get(PLANS))["results"] == []
    answer = signed_in_client.post(SUBSCRIBE, {"plan": str(plan.uid), "method": "mobile_push"})
    assert_error(answer, 400, code="does_not_exist", attr="plan")
    assert not list_payments(payer=user).exists()


def test_subscribing_starts_a_payment_of_the_plans_price(signed_in_client, user, plan):
    """The server decides, and says so to a client that thinks it could."""
    choice = {"plan": str(plan.uid), "method": "mobile_push"}
    bold = signed_in_client.post(SUBSCRIBE, {**choice, "amount": "1.00"})
    assert_error(bold, 400, code="unknown_field", attr="amount")

    data = assert_success(signed_in_client.post(SUBSCRIBE, choice), 201)

    assert data["payment"]["amount"] == "5000.00"
    payment = get_payment(uid=data["payment"]["uid"])
    assert payment.payer == user
    assert payment.amount_minor == 500_000
    assert payment.phone_e164 == user.phone
    assert payment.metadata == {"plan": str(plan.uid), "period_days": 30}


def test_another_phone_may_pay(signed_in_client, plan):
    choice = {"plan": str(plan.uid), "method": "mobile_push", "phone": "0765 432 109"}

    data = assert_success(signed_in_client.post(SUBSCRIBE, choice), 201)

    assert get_payment(uid=data["payment"]["uid"]).phone_e164 == "+255765432109"


def test_the_same_key_gives_the_same_payment(signed_in_client, user, plan):
    choice = {"plan": str(plan.uid), "method": "mobile_push"}

    first = signed_in_client.post(SUBSCRIBE, choice, HTTP_IDEMPOTENCY_KEY="purchase-1")
    second = signed_in_client.post(SUBSCRIBE, choice, HTTP_IDEMPOTENCY_KEY="purchase-1")

    assert assert_success(first, 201) == assert_success(second, 201)
    assert list_payments(payer=user).count() == 1


def test_the_same_key_for_something_else_is_refused(signed_in_client, user, plan, week):
    def choose(plan):
        choice = {"plan": str(plan.uid), "method": "mobile_push"}
        return signed_in_client.post(SUBSCRIBE, choice, HTTP_IDEMPOTENCY_KEY="purchase-1")

    assert_success(choose(plan), 201)

    assert_error(choose(week), 422, code="idempotency_key_reused", attr="Idempotency-Key")
    assert list_payments(payer=user).count() == 1


def test_the_same_key_gives_the_same_payment_after_the_plan_has_changed(
    signed_in_client, user, plan
):
    """The first answer was lost; meanwhile the plan became dearer, then was withdrawn."""
    choice = {"plan": str(plan.uid), "method": "mobile_push"}
    key = {"HTTP_IDEMPOTENCY_KEY": "purchase-1"}
    first = assert_success(signed_in_client.post(SUBSCRIBE, choice, **key), 201)
    Plan.objects.update(amount_minor=900_000, period_days=1, is_active=False)

    again = assert_success(signed_in_client.post(SUBSCRIBE, choice, **key), 201)
    other = signed_in_client.post(SUBSCRIBE, {**choice, "phone": "0765 432 109"}, **key)

    assert again == first
    assert_error(other, 422, code="idempotency_key_reused")
    assert list_payments(payer=user).count() == 1


def test_a_key_that_is_none_names_the_header(signed_in_client, user, plan):
    choice = {"plan": str(plan.uid), "method": "mobile_push"}

    answer = signed_in_client.post(SUBSCRIBE, choice, HTTP_IDEMPOTENCY_KEY="k" * 201)

    assert_error(answer, 400, attr="Idempotency-Key")
    assert not list_payments(payer=user).exists()


def test_a_double_click_without_a_key_names_the_payment_that_is_under_way(
    signed_in_client, user, plan, week
):
    choice = {"plan": str(plan.uid), "method": "mobile_push"}
    first = assert_success(signed_in_client.post(SUBSCRIBE, choice), 201)

    second = signed_in_client.post(SUBSCRIBE, choice)

    body = assert_error(second, 409, code="attempt_in_progress")
    assert first["payment"]["uid"] in body["message"]
    assert_success(signed_in_client.post(SUBSCRIBE, {**choice, "plan": str(week.uid)}), 201)


def test_the_same_plan_is_bought_again_once_the_first_is_paid(signed_in_client, plan, paid_for):
    paid_for(plan)

    choice = {"plan": str(plan.uid), "method": "mobile_push"}
    assert_success(signed_in_client.post(SUBSCRIBE, choice), 201)


def test_a_strangers_phone_cannot_be_filled_with_prompts(signed_in_client, user, plan):
    def ask(number):
        choice = {"plan": str(plan.uid), "method": "mobile_push", "phone": f"076543210{number}"}
        return signed_in_client.post(SUBSCRIBE, choice)

    answers = [ask(number) for number in range(4)]

    assert [answer.status_code for answer in answers] == [201, 201, 201, 409]
    assert_error(answers[-1], 409, code="prompt_waiting")
    assert list_payments(payer=user).count() == 3


def test_a_number_is_no_uid(signed_in_client, user, plan):
    answer = signed_in_client.post(SUBSCRIBE, {"plan": 7, "method": "mobile_push"})

    assert_error(answer, 400, code="invalid", attr="plan")
    assert not list_payments(payer=user).exists()


def test_a_checkout_page_sends_back_to_our_own_hosts_only(signed_in_client, plan):
    choice = {"plan": str(plan.uid), "method": "mobile_push"}

    foreign = signed_in_client.post(SUBSCRIBE, {**choice, "return_url": "https://evil.example/"})
    own = signed_in_client.post(SUBSCRIBE, {**choice, "return_url": "https://app.example.com/x"})

    assert_error(foreign, 400, code="return_host_not_allowed", attr="return_url")
    assert_success(own, 201)


@pytest.mark.parametrize(
    ("change", "attr"),
    [
        ({"plan": None}, "plan"),
        ({"plan": "month"}, "plan"),
        ({"plan": "0199a000-0000-7000-8000-000000000000"}, "plan"),
        ({"method": "cash"}, "method"),
        ({"phone": "12"}, "phone"),
        ({"phone": 712345678}, "phone"),
        ({"return_url": "javascript:alert(1)"}, "return_url"),
        ({"provider": "nobody"}, "provider"),
    ],
)
def test_bad_input_names_the_field_and_leaves_nothing(signed_in_client, user, plan, change, attr):
    choice = {"plan": str(plan.uid), "method": "mobile_push", **change}

    answer = signed_in_client.post(SUBSCRIBE, choice)

    assert_error(answer, 400, attr=attr)
    assert not list_payments(payer=user).exists()


def test_subscribing_and_asking_need_a_sign_in(api_client, plan):
    choice = {"plan": str(plan.uid), "method": "mobile_push"}

    assert_error(api_client.post(SUBSCRIBE, choice), 401)
    assert_error(api_client.get(MINE), 401)


def test_who_never_subscribed_gets_none_and_nulls(signed_in_client):
    assert assert_success(signed_in_client.get(MINE)) == {
        "status": "none",
        "plan": None,
        "starts_at": None,
        "ends_at": None,
    }


def test_an_active_and_an_expired_subscription(signed_in_client, user, plan, paid_for):
    with time_machine.travel("2026-11-01 00:00:00Z", tick=False):
        grant_paid_period(payment=paid_for(plan))
    with time_machine.travel("2026-11-30 23:59:59Z", tick=False):
        active = assert_success(_sign_in_again(signed_in_client, user).get(MINE))
    with time_machine.travel("2026-12-01 00:00:00Z", tick=False):
        expired = assert_success(_sign_in_again(signed_in_client, user).get(MINE))

    assert active["status"] == "active"
    assert active["plan"]["code"] == "mwezi"
    assert active["ends_at"] == "2026-12-01T00:00:00Z"
    assert expired["status"] == "expired"
    assert expired["ends_at"] == active["ends_at"]


def test_the_plan_shown_is_the_one_that_runs_now(signed_in_client, user, plan, week, paid_for):
    """A plan that was bought ahead is not the present one, and a bought one is not forgotten."""
    shown = []
    with time_machine.travel("2026-11-01 00:00:00Z", tick=False):
        grant_paid_period(payment=paid_for(plan))
        grant_paid_period(payment=paid_for(week))
    for moment in ("2026-11-01 00:00:00Z", "2026-11-30 23:59:59Z", "2026-12-01 00:00:00Z",
                   "2026-12-08 00:00:00Z"):  # fmt: skip
        with time_machine.travel(moment, tick=False):
            mine = assert_success(_sign_in_again(signed_in_client, user).get(MINE))
        assert mine["starts_at"] == "2026-11-01T00:00:00Z"
        assert mine["ends_at"] == "2026-12-08T00:00:00Z"
        shown.append((mine["status"], mine["plan"]["code"]))

    assert shown == [
        ("active", "mwezi"),
        ("active", "mwezi"),
        ("active", "wiki"),
        ("expired", "wiki"),
    ]


def test_time_whose_plan_is_gone_is_shown_without_one(signed_in_client, plan, paid_for):
    payment = paid_for(plan)
    plan.delete()
    grant_paid_period(payment=payment)

    mine = assert_success(signed_in_client.get(MINE))

    assert (mine["status"], mine["plan"]) == ("active", None)


def test_a_price_no_company_takes_names_the_plan(signed_in_client, user, plan):
    """The caller chose a plan and never an amount. TZS 0.50 is below every limit."""
    Plan.objects.update(amount_minor=50)

    answer = signed_in_client.post(SUBSCRIBE, {"plan": str(plan.uid), "method": "mobile_push"})

    assert_error(answer, 400, code="provider_cannot", attr="plan")
    assert not list_payments(payer=user).exists()


# Counting and one page; the session with its user, and the period with its plan.
@pytest.mark.parametrize("url", [PLANS, MINE])
def test_reading_costs_two_queries(signed_in_client, plan, week, paid_for, url):
    for each in (plan, week):
        grant_paid_period(payment=paid_for(each))

    with CaptureQueriesContext(connection) as queries:
        assert_success(signed_in_client.get(url))

    assert len(queries) <= 2, [query["sql"] for query in queries]


def test_subscribing_costs_a_bounded_number_of_queries(signed_in_client, plan):
    """The caller, the plan, the time, one transaction: payment, turn, attempt, history, job."""
    choice = {"plan": str(plan.uid), "method": "mobile_push"}

    with CaptureQueriesContext(connection) as queries:
        assert_success(signed_in_client.post(SUBSCRIBE, choice), 201)

    statements = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(statements) <= 14, "\n".join(sql[:150] for sql in statements)


def _sign_in_again(client, user):
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign_in(user=user).access}")
    return client
