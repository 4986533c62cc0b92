"""Starting and retrying: what is refused leaves no row, what is repeated has one effect."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from ntc_core.errors import InvalidInput, Unavailable
from ntc_core.money import Money
from ntc_core.outbox.models import OutboxJob
from ntc_core.testing.plugin import make_user
from ntc_payments import services
from ntc_payments.errors import (
    AttemptInProgress,
    CannotRetry,
    IdempotencyKeyReused,
    PromptWaiting,
    ProviderCannot,
)
from ntc_payments.models import Payment, PaymentAttempt, PaymentEvent
from ntc_payments.types import Claim, FailureCode, Observation, Source

pytestmark = pytest.mark.django_db


def fail(payment: Payment) -> None:
    """Let the payer decline the live attempt."""
    attempt = payment.attempts.last()
    services.apply_observation(
        attempt_id=attempt.pk,
        observation=Observation(
            reference=attempt.reference,
            claim=Claim.FAILURE,
            failure_code=FailureCode.DECLINED,
        ),
        source=Source.WEBHOOK,
    )
    payment.refresh_from_db()


def test_start_writes_payment_attempt_history_and_job(start):
    """Everything that the call needs is committed before anybody is called."""
    payment = start(phone="0712 345 678", metadata={"plan": "monthly"})

    attempt = payment.attempts.get()
    assert (payment.status, payment.amount_minor, payment.currency) == ("open", 1_500_000, "TZS")
    assert payment.phone_e164 == attempt.phone_e164 == "+255712345678"
    assert payment.metadata == {"plan": "monthly"}
    assert (attempt.status, attempt.provider, attempt.money) == (
        "created",
        "simulator",
        payment.money,
    )
    assert len(attempt.reference) == 20
    assert attempt.reference.isalnum()
    assert attempt.reference.isupper()
    assert timedelta(minutes=29) < payment.expires_at - timezone.now() <= timedelta(minutes=30)
    assert PaymentEvent.objects.filter(payment=payment).count() == 2
    job = OutboxJob.objects.get(task="ntc_payments.send_attempt")
    assert job.arguments == [attempt.pk]


def test_start_belongs_to_the_callers_transaction(start):
    """If the order is not written, neither is its payment."""
    user = make_user()

    @transaction.atomic
    def order() -> None:
        start(payer=user)
        raise RuntimeError("the order failed")

    with pytest.raises(RuntimeError, match="order"):
        order()

    assert not Payment.objects.exists()
    assert not OutboxJob.objects.exists()


def test_same_key_and_content_is_the_same_payment(start):
    """Another spelling of the same number is the same content."""
    user = make_user()
    first = start(payer=user, idempotency_key="k", phone="0712345678")

    again = start(payer=user, idempotency_key="k", phone="+255 712 345 678")

    assert again == first
    assert Payment.objects.count() == PaymentAttempt.objects.count() == 1
    assert OutboxJob.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"money": Money.from_major("15001", "TZS")},
        {"phone": "0713 345 678"},
        {"purpose": "subscription:2"},
        {"description": "Another plan"},
        {"provider": "simulator"},
        {"return_url": "https://shop.example/back"},
        {"metadata": {"plan": "yearly"}},
    ],
)
def test_same_key_with_other_content_is_refused(start, other):
    """422, and the first payment stays as it is."""
    user = make_user()
    first = start(payer=user, idempotency_key="k")

    with pytest.raises(IdempotencyKeyReused) as caught:
        start(payer=user, idempotency_key="k", **other)

    assert (caught.value.http_status, caught.value.attr) == (422, "Idempotency-Key")
    assert Payment.objects.get() == first


def test_key_of_another_payer_is_another_payment(start):
    """Keys are the payer's own: nobody can learn or block somebody else's."""
    first = start(idempotency_key="k")
    second = start(idempotency_key="k")

    assert first != second
    assert Payment.objects.count() == 2


def test_known_key_is_answered_although_the_provider_is_gone(start, settings):
    """The payment exists; what is configured today does not matter."""
    user = make_user()
    first = start(payer=user, idempotency_key="k")
    settings.NTC_PAYMENT_PROVIDERS = {}

    assert start(payer=user, idempotency_key="k") == first


@pytest.mark.parametrize(
    ("changes", "error", "attr", "word"),
    [
        ({"method": "barter"}, InvalidInput, "method", "mobile_push"),
        ({"method": "card"}, ProviderCannot, "method", "Pretend Money does not take card"),
        ({"money": Money.from_major(5, "USD")}, ProviderCannot, "currency", "TZS"),
        ({"money": Money(minor=1_500_050, currency="TZS")}, ProviderCannot, "amount", "whole"),
        ({"money": Money.from_major(99, "TZS")}, ProviderCannot, "amount", "at least TZS 100"),
        ({"money": Money.from_major(0, "TZS")}, InvalidInput, "amount", "more than zero"),
        ({"provider": "piggy"}, InvalidInput, "provider", "simulator"),
        ({"phone": None}, InvalidInput, "phone", "phone"),
        ({"phone": "12"}, InvalidInput, "phone", "valid phone"),
        ({"purpose": ""}, InvalidInput, "purpose", "1 to 200"),
        ({"description": "x" * 201}, InvalidInput, "description", "1 to 200"),
        (
            {"idempotency_key": "a\x00b", "purpose": "x"},
            InvalidInput,
            "Idempotency-Key",
            "1 to 200",
        ),
        ({"idempotency_key": "k\xe9y"}, InvalidInput, "Idempotency-Key", "ASCII"),
        ({"idempotency_key": "k\ty"}, InvalidInput, "Idempotency-Key", "ASCII"),
        ({"return_url": "javascript:alert(1)"}, InvalidInput, "return_url", "https"),
        ({"return_url": "http://[broken"}, InvalidInput, "return_url", "https"),
        ({"return_url": "https://evil.example/"}, InvalidInput, "return_url", "hosts"),
        ({"return_url": "https://shop.example.evil.example/"}, InvalidInput, "return_url", "hosts"),
        ({"return_url": "https://shop.example@evil.example/"}, InvalidInput, "return_url", "https"),
        (
            {"return_url": "https://evil.example\\@shop.example"},
            InvalidInput,
            "return_url",
            "https",
        ),
        ({"return_url": "https://shop.exa\nmple/"}, InvalidInput, "return_url", "https"),
        ({"metadata": {"a": object()}}, InvalidInput, "metadata", "JSON"),
        ({"metadata": {"a": float("nan")}}, InvalidInput, "metadata", "JSON"),
    ],
)
def test_refused_start_names_the_field_and_leaves_no_row(start, changes, error, attr, word):
    """Before any row and any call."""
    with pytest.raises(error) as caught:
        start(**changes)

    assert caught.value.attr == attr
    assert word in caught.value.message
    assert not Payment.objects.exists()
    assert not OutboxJob.objects.exists()


def test_no_provider_at_all_is_our_fault_not_the_payers(start, settings):
    """503, not 400."""
    settings.NTC_PAYMENT_PROVIDERS = {}

    with pytest.raises(Unavailable, match="no payment provider"):
        start()


def test_first_provider_that_can_do_it_is_chosen(start, settings):
    """The order of the setting is the order of choice; what one cannot, the next may."""
    settings.NTC_PAYMENT_PROVIDERS = {
        "hosted": {"class": "tests.companies.HostedProvider"},
        **settings.NTC_PAYMENT_PROVIDERS,
    }

    push = start()
    page = start(method="hosted_checkout", phone=None, return_url="https://shop.example/back")

    assert push.attempts.get().provider == "simulator"
    assert page.attempts.get().provider == "hosted"
    assert page.phone_e164 == ""


def test_failed_payment_is_retried_with_another_number(start):
    """A new attempt under a new reference; the old one keeps its number in the history."""
    payment = start()
    fail(payment)
    assert payment.status == "failed"

    payment = services.retry_payment(payment=payment, phone="0755 000 111")

    first, second = payment.attempts.all()
    assert (payment.status, second.status) == ("open", "created")
    assert first.reference != second.reference
    assert (first.phone_e164, second.phone_e164) == ("+255712345678", "+255755000111")
    assert payment.phone_e164 == "+255755000111"
    assert OutboxJob.objects.filter(task="ntc_payments.send_attempt").count() == 2


def test_retry_while_an_attempt_is_live_is_refused(start):
    """The payer never gets two prompts."""
    payment = start()

    with pytest.raises(AttemptInProgress) as caught:
        services.retry_payment(payment=payment)

    assert caught.value.http_status == 409
    assert "simulator" in caught.value.message
    assert payment.attempts.count() == 1


def test_canceled_payment_is_not_retried(start, run_jobs):
    """Only a failed one is."""
    payment = services.cancel_payment(payment=start())
    run_jobs()

    with pytest.raises(CannotRetry, match="canceled"):
        services.retry_payment(payment=payment)


def test_old_failed_payment_is_not_retried(start):
    """Its price was a promise for half an hour."""
    payment = start()
    fail(payment)
    Payment.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    with pytest.raises(CannotRetry, match="too old"):
        services.retry_payment(payment=payment)


def test_retry_by_a_provider_that_cannot_leaves_the_payment_failed(start, settings):
    """The refusal comes before the new attempt."""
    payment = start()
    fail(payment)
    settings.NTC_PAYMENT_PROVIDERS = {
        **settings.NTC_PAYMENT_PROVIDERS,
        "hosted": {"class": "tests.companies.HostedProvider"},
    }

    with pytest.raises(ProviderCannot):
        services.retry_payment(payment=payment, provider="hosted")

    payment.refresh_from_db()
    assert payment.status == "failed"
    assert payment.attempts.count() == 1


def test_same_purchase_again_is_refused_while_the_first_prompt_is_live(start):
    """A double click without a key: one prompt, and the answer names its payment."""
    user = make_user()
    first = start(payer=user, purpose="plan", idempotency_key="click-1")

    with pytest.raises(AttemptInProgress) as caught:
        start(payer=user, purpose="plan", idempotency_key="click-2")

    assert caught.value.http_status == 409
    assert str(first.uid) in caught.value.message
    assert Payment.objects.get() == first


@pytest.mark.parametrize("other", [{"phone": "0713 345 678"}, {"description": "Another plan"}])
def test_another_purchase_is_asked_for_beside_the_first(start, other):
    """Only what is equal in everything is the same click."""
    user = make_user()
    start(payer=user, purpose="plan")

    start(payer=user, purpose="plan", **other)

    assert PaymentAttempt.objects.count() == 2


def test_same_purchase_is_asked_for_again_after_the_first_has_ended(start):
    """Paid, declined or expired: the phone is free."""
    user = make_user()
    fail(start(payer=user, purpose="plan"))

    start(payer=user, purpose="plan")

    assert PaymentAttempt.objects.count() == 2


def test_canceled_payment_blocks_until_its_prompt_is_off_the_phone(start, run_jobs):
    """Cancelling is a wish; while the prompt is there the payer could approve both."""
    user = make_user()
    first = start(payer=user, purpose="plan")
    services.cancel_payment(payment=first)

    with pytest.raises(AttemptInProgress):
        start(payer=user, purpose="plan")
    run_jobs()

    start(payer=user, purpose="plan")


def test_pages_may_be_open_twice(start, settings):
    """Nothing appears on anybody's phone."""
    settings.NTC_PAYMENT_PROVIDERS = {"hosted": {"class": "tests.companies.HostedProvider"}}
    settings.NTC_PAYMENT_MAX_LIVE_PER_PHONE = 1
    user = make_user()

    for _ in range(2):
        start(payer=user, method="hosted_checkout", phone=None, purpose="plan")

    assert PaymentAttempt.objects.count() == 2


def test_a_phone_has_three_prompts_at_most_whoever_asks(start, settings):
    """A stranger's screen cannot be filled, not even with several accounts."""
    del settings.NTC_PAYMENT_MAX_LIVE_PER_PHONE
    for _ in range(3):
        start()

    with pytest.raises(PromptWaiting) as caught:
        start()

    assert (caught.value.http_status, caught.value.code) == (409, "prompt_waiting")
    assert Payment.objects.count() == OutboxJob.objects.count() == 3
    start(phone="0713 345 678")
    fail(Payment.objects.first())
    start(phone="0713 345 678")


def test_a_payer_has_three_prompts_at_most_on_whatever_phones(start, settings):
    """Otherwise one account could ring every phone there is."""
    del settings.NTC_PAYMENT_MAX_LIVE_PER_PHONE
    user = make_user()
    for number in range(3):
        start(payer=user, phone=f"071234567{number}")

    with pytest.raises(PromptWaiting):
        start(payer=user, phone="0712345679")


def test_retry_is_held_to_the_same_limit(start, settings):
    """It is one more prompt; the payment stays failed, with its phone."""
    settings.NTC_PAYMENT_MAX_LIVE_PER_PHONE = 1
    payment = start(phone="0713 345 678")
    fail(payment)
    start(phone="0755 000 111")

    with pytest.raises(PromptWaiting):
        services.retry_payment(payment=payment, phone="0755 000 111")

    payment.refresh_from_db()
    assert (payment.status, payment.phone_e164) == ("failed", "+255713345678")
    services.retry_payment(payment=payment)


def test_retry_beside_a_new_payment_for_the_same_is_refused(start):
    """The payer gave up on the failed one and clicked again."""
    user = make_user()
    failed = start(payer=user, purpose="plan")
    fail(failed)
    start(payer=user, purpose="plan")

    with pytest.raises(AttemptInProgress):
        services.retry_payment(payment=failed)
