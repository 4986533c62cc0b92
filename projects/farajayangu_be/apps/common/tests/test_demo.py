"""The demo data: there after the first run, unchanged after the next."""

from __future__ import annotations

import pytest
from django.contrib.auth import authenticate, get_user_model

from apps.common import demo
from apps.subscriptions.models import Plan


@pytest.mark.django_db
def test_seeding_again_changes_nothing():
    demo.seed()
    Plan.objects.filter(code="siku-7").update(amount_minor=1)
    before = list(Plan.objects.values()), list(get_user_model().objects.values())

    demo.seed()

    assert (list(Plan.objects.values()), list(get_user_model().objects.values())) == before


@pytest.mark.django_db
def test_the_accounts_work_as_printed_even_after_the_secret_key_has_changed(settings):
    demo.seed()
    settings.SECRET_KEY = "x" * 60

    demo.seed()

    customer, admin = demo.list_demo_accounts()
    assert authenticate(username=customer.email, password=customer.password)
    signed_in = authenticate(username=admin.phone_e164, password=admin.password)
    assert signed_in.is_superuser


@pytest.mark.django_db
def test_the_plans_are_valid():
    demo.seed()

    for plan in Plan.objects.all():
        plan.full_clean()
    assert Plan.objects.count() == 3
