"""Keys that are checked at start-up, rows that are removed, staff who end sessions."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from ntc_core.auth import services, tasks
from ntc_core.auth.checks import check_keys
from ntc_core.auth.models import AuthSession, EndReason, OneTimeCode, RefreshRecord
from ntc_core.auth.tasks import purge
from ntc_core.outbox.jobs import get_job


@pytest.mark.parametrize(
    ("keys", "problems"),
    [
        ([secrets.token_hex(32)], []),
        ([], ["ntc_auth.E002"]),
        (secrets.token_hex(32), ["ntc_auth.E001"]),
        ([secrets.token_hex(32), "short"], ["ntc_auth.E003"]),
    ],
    ids=["good", "none", "a string", "short"],
)
def test_keys_are_checked(settings, keys, problems):
    settings.NTC_JWT_KEYS = keys

    assert [problem.id for problem in check_keys()] == problems


def test_secret_key_is_no_token_key(settings):
    settings.NTC_JWT_KEYS = [settings.SECRET_KEY]

    assert [problem.id for problem in check_keys()] == ["ntc_auth.E004"]


def test_purge_removes_what_has_long_been_over_and_nothing_else(person, issue):
    now = datetime.now(tz=UTC)
    kept = [services.sign_in(user=person).session.pk for _ in range(2)]
    AuthSession.objects.filter(pk=kept[1]).update(revoked_at=now - timedelta(days=29))
    for values in (
        {"expires_at": now - timedelta(days=31)},
        {"revoked_at": now - timedelta(days=31)},
        {"last_used_at": now - timedelta(days=45)},
    ):
        session = services.sign_in(user=person).session
        AuthSession.objects.filter(pk=session.pk).update(**values)
    code = issue()
    issue(destination="+255712345679")
    OneTimeCode.objects.filter(pk=code.pk).update(expires_at=now - timedelta(days=31))

    purge()

    assert sorted(AuthSession.objects.values_list("pk", flat=True)) == kept
    assert OneTimeCode.objects.get().destination == "+255712345679"


def test_purge_removes_records_a_day_after_their_tokens(signed_in, settings):
    """A live session loses only what could not be presented any more."""
    second = services.refresh(refresh_token=signed_in.refresh)
    now = datetime.now(tz=UTC)
    first, last = RefreshRecord.objects.order_by("pk")
    RefreshRecord.objects.filter(pk=first.pk).update(expires_at=now - timedelta(hours=23))
    purge()
    assert RefreshRecord.objects.count() == 2

    RefreshRecord.objects.filter(pk=first.pk).update(expires_at=now - timedelta(hours=25))
    purge()

    assert list(RefreshRecord.objects.all()) == [last]
    assert services.refresh(refresh_token=second.refresh)


def test_purge_works_in_batches(person, caplog):
    """Whatever piled up: never more than a batch of keys at a time, and no row is loaded."""
    caplog.set_level("INFO")
    long_ago = datetime.now(tz=UTC) - timedelta(days=200)
    session = services.sign_in(user=person).session
    count = 2 * tasks.BATCH + 1
    RefreshRecord.objects.bulk_create(
        [
            RefreshRecord(
                session=session, jti_hash=str(number), issued_at=long_ago, expires_at=long_ago
            )
            for number in range(count)
        ],
        batch_size=5000,
    )

    with CaptureQueriesContext(connection) as queries:
        purge()

    assert RefreshRecord.objects.count() == 1
    deletes = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletes) == 3
    assert caplog.records[-1].message == "auth.purged"
    assert caplog.records[-1].refreshes == count


def test_purge_is_scheduled_and_its_columns_are_indexed():
    assert get_job("ntc_auth.purge").every_seconds == 24 * 3600
    for model in (AuthSession, RefreshRecord, OneTimeCode):
        assert model._meta.get_field("expires_at").db_index


@pytest.fixture
def staff_client(client, db):
    """Return a client of a member of staff who may see and change sessions, no more."""
    staff = User.objects.create_user(username="staff", is_staff=True)
    staff.user_permissions.set(
        Permission.objects.filter(codename__in=["view_authsession", "change_authsession"])
    )
    client.force_login(staff)
    return client


def test_staff_end_sessions_in_the_admin(staff_client, signed_in):
    page = "/admin/ntc_auth/authsession/"
    assert staff_client.get(page).status_code == 200
    assert staff_client.get(f"{page}{signed_in.session.pk}/change/").status_code == 200

    response = staff_client.post(
        page, {"action": "end_sessions", "_selected_action": [signed_in.session.pk]}
    )

    assert response.status_code == 302
    session = AuthSession.objects.get()
    assert not session.is_live
    assert session.revoked_reason == EndReason.STAFF


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_staff_make_and_delete_no_session(staff_client, signed_in, path):
    page = f"/admin/ntc_auth/authsession/{path.format(pk=signed_in.session.pk)}"

    assert staff_client.get(page).status_code == 403


def test_staff_without_the_permission_cannot_end_sessions(staff_client, signed_in):
    User.objects.get(username="staff").user_permissions.set(
        Permission.objects.filter(codename="view_authsession")
    )

    staff_client.post(
        "/admin/ntc_auth/authsession/",
        {"action": "end_sessions", "_selected_action": [signed_in.session.pk]},
    )

    assert AuthSession.objects.get().is_live
