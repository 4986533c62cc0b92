"""How the admin names rows: people masked, uids short."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import override_settings
from ntc_core.admin import masked_link, moment_column, short_uid
from ntc_core.models import new_uid
from ntc_core.testing.plugin import make_user

from tests.models import Shop


@pytest.mark.django_db
@override_settings(ROOT_URLCONF="tests.webhooks.urls")
def test_a_person_is_masked_and_linked():
    user = make_user(username="+255712345678")

    assert masked_link(user) == f'<a href="/admin/auth/user/{user.pk}/change/">+2557****678</a>'


@override_settings(ROOT_URLCONF="tests.webhooks.urls")
def test_a_row_without_a_page_is_only_named():
    assert "href" not in masked_link(Shop(name="Duka"))


@pytest.mark.django_db
@override_settings(ROOT_URLCONF="tests.webhooks.urls")
def test_a_name_is_escaped():
    user = make_user(username="<b>Asha</b>")

    assert "&lt;b&gt;Asha&lt;/b&gt;" in masked_link(user)


def test_a_short_uid_has_the_whole_one_in_its_tooltip():
    uid = new_uid()

    assert short_uid(uid) == f'<span title="{uid}">…{str(uid)[-8:]}</span>'


def test_a_moment_has_its_seconds_in_the_clock_of_the_project(settings):
    row = Shop(created_at=datetime(2026, 11, 25, 21, 0, 7, tzinfo=UTC))
    column = moment_column("created_at")

    assert column(row) == "2026-11-25 21:00:07"
    settings.TIME_ZONE = "Africa/Dar_es_Salaam"
    assert column(row) == "2026-11-26 00:00:07"
    assert column(Shop(created_at=None)) == "-"
    assert column.admin_order_field == "created_at"
