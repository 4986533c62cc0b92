"""The admin shows what there is, and only to staff."""

from __future__ import annotations

from datetime import timedelta

import pytest
from apps.common import demo
from apps.subscriptions.models import Plan, Subscription
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from ntc_core.testing import assert_error

OURS = {"accounts", "subscriptions", "ntc_auth", "ntc_outbox", "ntc_webhooks", "ntc_payments",
        "ntc_notify"}  # fmt: skip


@pytest.fixture
def staff_client(db: None) -> Client:
    """Return a browser of the demo admin, signed in through the form."""
    demo.seed()
    _, account = demo.list_demo_accounts()
    client = Client()
    form = {"username": account.email, "password": account.password}
    assert client.post(reverse("admin:login"), form).status_code == 302
    return client


@pytest.mark.parametrize("label", sorted(OURS))
def test_every_app_shows_something(label):
    registered = {model._meta.app_label for model in admin.site._registry}

    assert label in registered


def test_every_list_opens(staff_client):
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert staff_client.get(url).status_code == 200, url
        assert staff_client.get(f"{url}?q=0712").status_code == 200, url


def test_what_the_issue_names_is_registered():
    registered = {model._meta.label for model in admin.site._registry}

    assert {
        "ntc_payments.Payment",
        "ntc_payments.PaymentAttempt",
        "ntc_webhooks.WebhookEvent",
        "ntc_notify.Message",
        "subscriptions.Plan",
        "subscriptions.Subscription",
    } <= registered
    assert apps.get_app_config("ntc_payments")


@pytest.mark.django_db
def test_a_customer_is_not_let_in(client):
    demo.seed()
    client.force_login(get_user_model().objects.get(email="demo@example.com"))

    assert client.get(reverse("admin:index")).status_code == 302


def test_without_debug_there_is_no_site_to_view(staff_client):
    """`/` is a page in development only, so the admin has no link to it."""
    assert_error(staff_client.get("/"), 404, code="not_found")
    assert "View site" not in staff_client.get(reverse("admin:index")).content.decode()


def test_a_subscription_is_read_only(staff_client):
    """Time is granted by a payment; staff see it, and change a plan."""
    assert staff_client.get(reverse("admin:subscriptions_subscription_add")).status_code == 403
    assert staff_client.get(reverse("admin:subscriptions_plan_add")).status_code == 200


def test_a_plan_is_withdrawn_and_not_deleted(staff_client):
    """A payment for it may be open, and what was sold stays on record."""
    plan = Plan.objects.first()
    url = reverse("admin:subscriptions_plan_delete", args=[plan.pk])

    assert staff_client.post(url, {"post": "yes"}).status_code == 403
    listing = staff_client.get(reverse("admin:subscriptions_plan_changelist")).content.decode()
    assert "delete_selected" not in listing
    assert Plan.objects.filter(pk=plan.pk).exists()


@pytest.mark.parametrize(
    ("amount", "currency", "taken"),
    [(150, "TZS", False), (200, "TZS", True), (150, "USD", True), (150, "XXX", False)],
)
def test_a_plan_costs_whole_shillings(staff_client, amount, currency, taken):
    """Mobile money knows no cents, so nobody could pay TZS 1.50."""
    form = {"code": "mpya", "name_sw": "Mpya", "name_en": "New", "amount_minor": amount,
            "currency": currency, "period_days": 1, "order": 0, "is_active": "on"}  # fmt: skip

    page = staff_client.post(reverse("admin:subscriptions_plan_add"), form)

    assert Plan.objects.filter(code="mpya").exists() is taken
    assert (page.status_code == 302) is taken
    if currency == "TZS" and not taken:
        assert "whole shillings" in page.content.decode()


def test_a_subscription_names_its_owner_masked_and_has_nothing_to_save(staff_client):
    """A database id says nothing, and a whole phone too much."""
    user = get_user_model().objects.create_user(phone="+255713200009", password="maji-ya-kunywa-7")
    starts_at = timezone.now()
    row = Subscription.objects.create(
        user=user, starts_at=starts_at, ends_at=starts_at + timedelta(days=7)
    )
    page = staff_client.get(reverse("admin:subscriptions_subscription_change", args=[row.pk]))
    listing = staff_client.get(reverse("admin:subscriptions_subscription_changelist"))

    assert f"+2557****009 until {row.ends_at:%Y-%m-%d}" in page.content.decode()
    assert "+2557****009" in listing.content.decode()
    assert user.phone not in page.content.decode() + listing.content.decode()
    assert f"/user/{user.pk}/change/" in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
