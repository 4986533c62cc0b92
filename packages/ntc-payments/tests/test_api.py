"""The HTTP interface for payers and staff."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing import assert_error, assert_success
from ntc_core.testing.plugin import make_user
from ntc_payments import services
from ntc_payments.models import Payment
from ntc_payments.serializers import PaymentOutput
from ntc_payments.types import Claim, FailureCode, Observation, Source

pytestmark = pytest.mark.django_db

URL = "/api/v1/payments/"


@pytest.fixture
def client(api_client, user):
    """Return a client whose caller is `user`."""
    api_client.force_authenticate(user)
    return api_client


def decline(payment) -> None:
    """Let the payer say no."""
    attempt = payment.attempts.last()
    observation = Observation(
        reference=attempt.reference, claim=Claim.FAILURE, failure_code=FailureCode.DECLINED
    )
    services.apply_observation(
        attempt_id=attempt.pk, observation=observation, source=Source.WEBHOOK
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("get", "providers/"),
        ("get", f"{uuid.uuid4()}/"),
        ("get", f"{uuid.uuid4()}/timeline/"),
        ("post", f"{uuid.uuid4()}/cancel/"),
        ("post", f"{uuid.uuid4()}/retry/"),
    ],
)
def test_strangers_are_asked_to_sign_in(api_client, method, path):
    """Nothing about payments is public."""
    response = getattr(api_client, method)(URL + path)

    # The tests' session authentication has no WWW-Authenticate challenge, so DRF says 403.
    assert_error(response, 403, code="not_authenticated")


def test_payment_tells_the_payer_what_to_do(client, start, user):
    """Every field of the contract, the number masked, the amount in major units."""
    payment = start(payer=user)
    run_due_jobs()

    data = assert_success(client.get(f"{URL}{payment.uid}/"))

    assert data.keys() == {
        *("uid", "status", "amount", "currency", "method", "provider", "purpose", "description"),
        *("phone", "created_at", "succeeded_at", "expires_at", "failure", "next_action"),
    }
    assert data["uid"] == str(payment.uid)
    assert (data["status"], data["amount"], data["currency"]) == ("processing", "15000.00", "TZS")
    assert (data["method"], data["provider"], data["phone"]) == (
        "mobile_push",
        "simulator",
        "+2557****678",
    )
    assert data["succeeded_at"] is data["failure"] is None
    assert data["next_action"] == {
        "type": "approve_on_phone",
        "message": "A request for TZS 15,000 appears on +2557****678. Approve it with your PIN.",
        "url": None,
        "payer_code": None,
    }
    assert "id" not in data


@pytest.mark.parametrize(
    ("attempt_status", "payment_status", "type_", "word"),
    [
        ("created", "open", "approve_on_phone", "in a moment"),
        ("unknown", "processing", "wait", "not pay again"),
        ("failed", "failed", "none", "You can try again"),
        ("pending", "canceled", "none", "canceled"),
        ("pending", "expired", "none", "new payment"),
    ],
)
def test_next_action_follows_the_status(start, attempt_status, payment_status, type_, word):
    """One word for the client, one sentence for the person."""
    payment = start()
    payment.attempts.update(status=attempt_status)
    payment.status = payment_status

    action = PaymentOutput(payment).data["next_action"]

    assert action["type"] == type_
    assert word in action["message"]


def test_next_action_of_a_page_is_its_link(start, settings):
    """Open it, also where the method is a control number and the company gives a page."""
    settings.NTC_PAYMENT_PROVIDERS = {"hosted": {"class": "tests.companies.HostedProvider"}}
    payments = [start(method=method) for method in ("hosted_checkout", "control_number")]
    run_due_jobs()

    for payment in payments:
        payment.refresh_from_db()
        action = PaymentOutput(payment).data["next_action"]
        assert (action["type"], action["url"]) == ("open_url", "https://pay.example/1")


@pytest.mark.parametrize("payer_code", ["991122334455", ""])
def test_next_action_of_a_control_number_is_the_number(start, settings, payer_code):
    """The company's, or our reference where the payer types that."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "told": {"class": "tests.companies.TellingProvider", "outcome": {"payer_code": payer_code}}
    }
    payment = start(method="control_number")
    assert PaymentOutput(payment).data["next_action"]["type"] == "wait"

    run_due_jobs()

    payment = Payment.objects.get()
    number = payer_code or payment.attempts.get().reference
    assert PaymentOutput(payment).data["next_action"] == {
        "type": "pay_control_number",
        "message": f"Pay TZS 15,000 on the control number {number}.",
        "url": None,
        "payer_code": number,
    }


def test_succeeded_payment_says_thank_you(client, start, user, simulator):
    """And since when."""
    payment = start(payer=user)
    run_due_jobs()
    attempt = payment.attempts.get()
    simulator.approve(reference=attempt.reference)
    services.poll_attempt(attempt_id=attempt.pk)

    data = assert_success(client.get(f"{URL}{payment.uid}/"))

    assert data["status"] == "succeeded"
    assert data["succeeded_at"].endswith("Z")
    assert data["next_action"]["type"] == "none"


def test_payment_of_somebody_else_is_not_there(client, start):
    """404 for everything, as for one that does not exist."""
    payment = start()

    for uid in (payment.uid, uuid.uuid4()):
        assert_error(client.get(f"{URL}{uid}/"), 404, code="not_found")
        assert_error(client.post(f"{URL}{uid}/cancel/"), 404)
        assert_error(client.post(f"{URL}{uid}/retry/"), 404)
    payment.refresh_from_db()
    assert payment.status == "open"


def test_list_has_the_payers_own_payments_newest_first(client, start, user):
    """Paged in the common shape."""
    mine = [start(payer=user) for _ in range(3)]
    start()

    data = assert_success(client.get(URL, {"page_size": 2}))

    assert data["count"] == 3
    assert data["next"]
    assert [item["uid"] for item in data["results"]] == [str(mine[2].uid), str(mine[1].uid)]


def test_list_has_only_the_status_that_is_asked_for(client, start, user):
    """Nothing at all is an answer too."""
    failed, _ = start(payer=user), start(payer=user)
    decline(failed)

    found = assert_success(client.get(URL, {"status": "failed"}))

    assert [item["uid"] for item in found["results"]] == [str(failed.uid)]
    assert assert_success(client.get(URL, {"status": "expired"}))["count"] == 0


@pytest.mark.parametrize("status", ["FAILED", "paid", "", "failed,open"])
def test_list_refuses_a_status_that_is_none(client, start, user, status):
    """Ignored, it would show everything as if it matched."""
    start(payer=user)

    assert_error(client.get(URL, {"status": status}), 400, attr="status")


def test_list_costs_the_same_for_one_and_for_many(
    client, start, user, django_assert_num_queries, run_jobs
):
    """Count, payments, attempts: three queries, however long the page."""
    for count in (1, 7):
        for _ in range(count):
            start(payer=user)
        run_jobs()
        with django_assert_num_queries(3):
            client.get(URL)


def test_detail_costs_two_queries(client, start, user, django_assert_num_queries):
    """The payment and its attempts."""
    payment = start(payer=user)
    decline(payment)
    services.retry_payment(payment=payment)

    with django_assert_num_queries(2):
        client.get(f"{URL}{payment.uid}/")


def test_payment_that_was_just_started_is_shown_with_one_query(
    start, user, django_assert_num_queries
):
    """As a project shows it in the answer to its own request."""
    payment = start(payer=user)

    with django_assert_num_queries(1):
        data = PaymentOutput(payment).data

    assert data["next_action"]["type"] == "approve_on_phone"


def test_cancel_answers_the_canceled_payment(client, start, user):
    """And again, and then not a paid one."""
    payment = start(payer=user)
    for _ in range(2):
        data = assert_success(client.post(f"{URL}{payment.uid}/cancel/"))
        assert data["status"] == "canceled"

    failed = start(payer=user)
    decline(failed)
    assert_error(client.post(f"{URL}{failed.uid}/cancel/"), 409, code="cannot_cancel")


def test_failed_payment_says_why_and_is_retried(client, start, user):
    """With another number, in any spelling."""
    payment = start(payer=user)
    decline(payment)
    data = assert_success(client.get(f"{URL}{payment.uid}/"))
    assert data["failure"] == {
        "code": "declined",
        "message": "The request was declined on the phone.",
    }

    data = assert_success(client.post(f"{URL}{payment.uid}/retry/", {"phone": "0755 000 111"}))

    assert (data["status"], data["phone"], data["failure"]) == ("open", "+2557****111", None)


def test_retry_while_one_is_under_way_is_a_conflict(client, start, user):
    """Never a second prompt."""
    payment = start(payer=user)

    assert_error(client.post(f"{URL}{payment.uid}/retry/"), 409, code="attempt_in_progress")


@pytest.mark.parametrize("action", ["retry", "cancel"])
def test_changing_payments_is_limited_per_payer(client, start, user, settings, action):
    """Each retry may ring a phone; another payer is not held up."""
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": {"payments": "2/min"},
    }
    mine, other = start(payer=user), start()

    answers = [client.post(f"{URL}{mine.uid}/{action}/") for _ in range(3)]

    assert_error(answers[-1], 429, code="throttled")
    assert 429 not in [answer.status_code for answer in answers[:2]]
    client.force_authenticate(other.payer)
    assert client.post(f"{URL}{other.uid}/{action}/").status_code != 429


@pytest.mark.parametrize(
    ("body", "attr"),
    [
        ({"phone": "12"}, "phone"),
        ({"phone": 712345678}, "phone"),
        ({"provider": "piggy"}, "provider"),
        ({"provider": ["simulator"]}, "provider"),
    ],
)
def test_bad_retry_names_the_field(client, start, user, body, attr):
    """400, and the payment stays failed."""
    payment = start(payer=user)
    decline(payment)

    assert_error(client.post(f"{URL}{payment.uid}/retry/", body), 400, attr=attr)

    payment.refresh_from_db()
    assert payment.status == "failed"


def test_providers_say_what_can_be_chosen(client, simulator, settings):
    """In the order of choice."""
    settings.NTC_PAYMENT_PROVIDERS = {
        **settings.NTC_PAYMENT_PROVIDERS,
        "hosted": {"class": "tests.companies.HostedProvider"},
    }

    data = assert_success(client.get(f"{URL}providers/"))

    assert data["count"] == 2
    assert data["results"][0] == {
        "name": "simulator",
        "title": "Pretend Money",
        "methods": ["mobile_push"],
        "currencies": ["TZS"],
        "whole_unit_currencies": ["TZS"],
        "limits": [{"currency": "TZS", "minimum": "100.00", "maximum": "5000000.00"}],
    }
    assert data["results"][1]["limits"] == [{"currency": "USD", "minimum": "1.00", "maximum": None}]


def test_timeline_is_for_staff_with_the_permission(api_client, start, django_assert_num_queries):
    """Neither for the payer nor for staff without it."""
    payment = start()
    run_due_jobs()
    url = f"{URL}{payment.uid}/timeline/"
    permission = Permission.objects.get(codename="view_paymentevent")
    plain_staff = make_user(is_staff=True)
    not_staff = make_user()
    not_staff.user_permissions.add(permission)
    for person in (payment.payer, plain_staff, not_staff):
        api_client.force_authenticate(person)
        assert_error(api_client.get(url), 403, code="permission_denied")

    staff = make_user(is_staff=True)
    staff.user_permissions.add(permission)
    api_client.force_authenticate(staff)
    staff.has_perm("ntc_payments.view_paymentevent")  # fills its cache
    with django_assert_num_queries(4):
        data = assert_success(api_client.get(url))

    assert [line["to_status"] for line in data["results"]] == [
        *("open", "created", "sending", "processing", "pending")
    ]
    last = data["results"][-1]
    assert (last["source"], last["claim"], last["applied"]) == ("response", "accepted", True)
    assert last["reference"] == payment.attempts.get().reference
    assert data["results"][0]["provider"] is None
    assert_error(api_client.get(f"{URL}{uuid.uuid4()}/timeline/"), 404)


def test_timeline_shows_the_reported_amount(api_client, start, simulator):
    """In major units, like every amount."""
    payment = start()
    run_due_jobs()
    simulator.approve(reference=payment.attempts.get().reference)
    services.poll_attempt(attempt_id=payment.attempts.get().pk)
    api_client.force_authenticate(make_user(is_staff=True, is_superuser=True))

    data = assert_success(api_client.get(f"{URL}{payment.uid}/timeline/"))

    [line] = [line for line in data["results"] if line["claim"] == "success"]
    assert (line["amount"], line["currency"]) == ("15000.00", "TZS")


def test_openapi_document_is_without_warnings(tmp_path):
    """Every operation is described."""
    target = tmp_path / "schema.yml"
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(target))

    text = target.read_text()
    for path in ("payments/:", "{uid}/:", "cancel/:", "retry/:", "providers/:", "timeline/:"):
        assert path in text
