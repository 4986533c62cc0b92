"""The pretend phone: a page for people, JSON for scripts, nothing without DEBUG."""

from __future__ import annotations

import socket
import uuid

import pytest
from django.test import Client
from ntc_core.outbox.services import run_due_jobs
from ntc_core.renderers import encode_json
from ntc_core.testing import assert_error
from ntc_payments import services
from ntc_payments.models import PaymentAttempt

pytestmark = pytest.mark.django_db

URL = "/dev/phone/"
JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html"}


@pytest.fixture
def phone(settings, simulator):
    """Return a client of a development server."""
    settings.DEBUG = True
    return Client()


@pytest.fixture
def prompt(phone, start):
    """Return the prompt of a payment that waits."""
    payment = start()
    run_due_jobs()
    reference = payment.attempts.get().reference
    prompts = phone.get(URL, headers=JSON).json()
    return next(prompt for prompt in prompts if prompt["reference"] == reference)


def test_waiting_prompts_are_a_bare_list(prompt):
    """In the words of the API."""
    assert prompt.keys() == {
        *("uid", "amount", "currency", "phone", "description", "reference", "status"),
        *("created_at", "expires_at", "text"),
    }
    assert (prompt["amount"], prompt["currency"], prompt["phone"]) == (
        "15000.00",
        "TZS",
        "+255712345678",
    )
    assert (prompt["status"], prompt["text"]) == ("pending", "Pay TZS 15,000?")


@pytest.mark.parametrize(
    ("answer", "prompt_status", "payment_status"),
    [("approve", "paid", "succeeded"), ("decline", "declined", "failed")],
)
def test_answer_by_script_reaches_the_payment(phone, prompt, answer, prompt_status, payment_status):
    """No CSRF token is needed, as curl has none."""
    response = Client(enforce_csrf_checks=True).post(f"{URL}{prompt['uid']}/{answer}/")

    assert response.status_code == 200
    assert response.json()["status"] == prompt_status
    attempt = PaymentAttempt.objects.get(reference=prompt["reference"])
    services.poll_attempt(attempt_id=attempt.pk)
    attempt.payment.refresh_from_db()
    assert attempt.payment.status == payment_status
    assert prompt["uid"] not in str(phone.get(URL, headers=JSON).json())


def test_page_shows_the_prompt_and_its_buttons_go_back_to_it(phone, prompt):
    """Server-rendered; the description is escaped; nothing is loaded from elsewhere."""
    page = phone.get(URL, headers=HTML)
    text = page.content.decode()
    assert page.status_code == 200
    assert page["Content-Type"].startswith("text/html")
    assert "Pay TZS 15,000?" in text
    assert f'action="{prompt["uid"]}/approve/"' in text
    assert "http://" not in text
    assert "https://" not in text
    assert "no-store" in page["Cache-Control"]

    pressed = phone.post(f"{URL}{prompt['uid']}/decline/", headers=HTML, follow=True)

    assert pressed.redirect_chain == [(URL, 302)] or pressed.redirect_chain[0][0].endswith("../../")
    assert prompt["uid"] not in pressed.content.decode()


def test_page_links_to_nothing_that_is_not_there(phone):
    """A project may have no mailbox and no docs."""
    assert "<a " not in phone.get(URL, headers=HTML).content.decode()


def test_description_is_escaped(phone, start):
    """It is text that people write."""
    start(description="<script>alert(1)</script>")
    run_due_jobs()

    assert "<script>alert" not in phone.get(URL, headers=HTML).content.decode()


def test_unknown_and_ended_prompts_are_refused_in_the_envelope(phone, prompt):
    """404 and 409."""
    unknown = phone.post(f"{URL}{uuid.uuid4()}/approve/")
    body = assert_error(unknown, 404, code="not_found")
    assert unknown.content == encode_json(body), "The bytes of every other error."
    assert_error(phone.post(f"{URL}..%2Ffaults/approve/"), 404)
    phone.post(f"{URL}{prompt['uid']}/approve/")
    assert_error(phone.post(f"{URL}{prompt['uid']}/decline/"), 409, code="not_waiting")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
def test_other_sites_may_not_press_buttons(phone, prompt, headers):
    """A page that is open in the same browser."""
    assert_error(phone.post(f"{URL}{prompt['uid']}/approve/", headers=headers), 403)

    assert prompt["uid"] in str(phone.get(URL, headers=JSON).json())


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}]
)
def test_own_page_may(phone, prompt, headers):
    """The buttons of the page itself."""
    response = phone.post(f"{URL}{prompt['uid']}/approve/", headers=headers)

    assert response.status_code == 200


def test_nothing_is_there_without_debug(settings, simulator, prompt):
    """Production has no phone."""
    settings.DEBUG = False

    assert_error(Client().get(URL, headers=JSON), 404)
    assert_error(Client().post(f"{URL}{prompt['uid']}/approve/"), 404)


def test_phone_without_a_company_says_what_to_start(phone, settings, simulator):
    """503 with the command, on the page and in JSON."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {**simulator.options, "base_url": f"http://127.0.0.1:{port}"}
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": options}

    page = phone.get(URL, headers=HTML)

    assert page.status_code == 503
    assert "python -m ntc_payments.simulator" in page.content.decode()
    assert_error(phone.get(URL, headers=JSON), 503, code="unavailable")


def test_phone_of_something_else_says_so(phone, settings, simulator, live_server):
    """The base URL leads to a server that is not the company."""
    options = {**simulator.options, "base_url": live_server.url}
    settings.NTC_PAYMENT_PROVIDERS = {"simulator": options}

    assert_error(phone.get(URL, headers=JSON), 503)


def test_project_without_simulator_has_no_phone(phone, settings):
    """404."""
    settings.NTC_PAYMENT_PROVIDERS = {}

    assert_error(phone.get(URL, headers=JSON), 404)
