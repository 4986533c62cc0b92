"""What happened to sign-ins is in rows that staff read and nobody changes."""

from __future__ import annotations

import json
import logging
import secrets
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import DataError, connection, transaction
from ntc_core.auth import services
from ntc_core.auth.audit import record_event
from ntc_core.auth.checks import check_transactions
from ntc_core.auth.errors import CodeInvalid, TokenInvalid
from ntc_core.auth.models import AuditEvent, EndReason
from ntc_core.auth.tasks import purge
from ntc_core.testing import assert_error, assert_success

from tests.auth.conftest import PASSWORD, wrong

LOGIN = "/api/v1/auth/login/"
PAGE = "/admin/ntc_auth/auditevent/"


def events() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("event", flat=True))


def test_a_sign_in_is_a_row_with_the_device_and_the_request(api_client, person):
    answer = api_client.post(
        LOGIN,
        {"identifier": "asha", "password": PASSWORD},
        REMOTE_ADDR="41.59.7.9",
        HTTP_USER_AGENT="Simu\x00 ya Asha/1.0",
        HTTP_X_REQUEST_ID="request-1234",
    )

    assert_success(answer)
    row = AuditEvent.objects.get()
    assert (row.event, row.user, row.subject) == ("auth.login.ok", person, str(person.pk))
    assert row.session_uid == person.auth_sessions.get().uid
    assert (row.ip_prefix, row.user_agent) == ("41.59.7.0/24", "Simu ya Asha/1.0")
    assert row.request_id == "request-1234"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["asha", "asha@example.com", "0712345678", PASSWORD])
def test_a_failed_sign_in_leaves_a_row_that_gives_nothing_away(api_client, person, name):
    assert_error(api_client.post(LOGIN, {"identifier": name, "password": "siri-yangu"}), 401)

    row = AuditEvent.objects.get()
    assert row.event == "auth.login.failed"
    assert row.user == (person if name == "asha" else None)
    stored = json.dumps(row.details)
    assert name not in stored
    assert "712345678" not in stored
    assert "siri-yangu" not in stored


def test_the_life_of_a_session_can_be_read(person):
    first = services.sign_in(user=person)
    second = services.refresh(refresh_token=first.refresh)
    services.sign_out(refresh_token=second.refresh)
    third = services.sign_in(user=person).session
    services.end_session(third, reason=EndReason.STAFF)
    services.sign_out_everywhere(user=person)

    assert events() == [
        "auth.login.ok",
        "auth.logout",
        "auth.login.ok",
        "auth.logout",
        "auth.logout_all",
    ]
    assert set(AuditEvent.objects.values_list("subject", flat=True)) == {str(person.pk)}
    assert AuditEvent.objects.filter(session_uid=third.uid).last().details == {"reason": "staff"}


@pytest.mark.django_db(transaction=True)
def test_the_life_of_a_code_can_be_read_but_not_the_code(issue, person):
    challenge = issue(user=person)
    code = services.reveal_code(challenge.uid)
    values = {"purpose": "registration", "destination": challenge.destination}
    with pytest.raises(CodeInvalid):
        services.redeem_code(code=wrong(code), **values)
    services.redeem_code(code=code, **values)

    assert events() == ["code.issued", "code.refused", "code.redeemed"]
    assert set(AuditEvent.objects.values_list("user", flat=True)) == {person.pk}
    stored = json.dumps(list(AuditEvent.objects.values_list("details", flat=True)))
    assert code not in stored
    assert "712345678" not in stored


@pytest.mark.django_db(transaction=True)
def test_a_theft_is_one_row(person, settings):
    settings.NTC_REFRESH_GRACE_SECONDS = 0
    token = services.sign_in(user=person).refresh
    services.refresh(refresh_token=token)
    for _ in range(3):
        with pytest.raises(TokenInvalid):
            services.refresh(refresh_token=token)

    thefts = AuditEvent.objects.filter(event="auth.refresh.reuse")
    assert [row.user for row in thefts] == [person]
    assert thefts[0].session_uid == person.auth_sessions.get().uid


def test_a_rotation_of_keys_is_a_row(db, tmp_path):
    file = tmp_path / "keys"
    file.write_text(secrets.token_hex(32))

    call_command("rotate_jwt_keys", "add", "--file", str(file), stderr=StringIO())

    row = AuditEvent.objects.get()
    assert row.event == "auth.keys.rotated"
    assert row.details["step"] == "add"
    assert len(row.details["kids"]) == 2
    assert file.read_text().split(",")[1].strip() not in json.dumps(row.details)


def test_a_flood_of_refused_calls_is_one_row_per_window(api_client, person):
    for _ in range(30):
        api_client.post(LOGIN, {"identifier": "asha", "password": "wrong"})

    throttled = AuditEvent.objects.filter(event="auth.throttled")
    assert [row.details for row in throttled] == [{"limit": "login_failed_device"}]


def test_the_admins_own_session_is_recorded_too(client, person):
    client.force_login(person)
    client.logout()

    assert events() == ["auth.login.ok", "auth.logout"]
    assert AuditEvent.objects.last().details == {"via": "django"}


def test_an_event_is_one_insert(person, django_assert_num_queries):
    with django_assert_num_queries(1):
        record_event("shop.key.rotated", user=person, kid="2026-01")


def test_details_are_masked(person):
    record_event("shop.note", phone="+255712345678", password="siri", note="code 123456")

    stored = AuditEvent.objects.get().details
    assert stored == {"phone": "+2557****678", "password": "***", "note": "code ***"}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_row_that_cannot_be_written_is_no_error_for_the_caller(caplog):
    """The log line is out, and says that the row is missing."""
    caplog.set_level(logging.INFO)

    record_event("x" * 61)

    assert [record.message for record in caplog.records] == ["x" * 61, "auth.audit.lost"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_broken_transaction_is_not_hidden():
    with pytest.raises(DataError), transaction.atomic():
        record_event("x" * 61)


def test_a_row_is_never_changed_or_deleted(db):
    record_event("shop.note")
    row = AuditEvent.objects.get()

    for change in (
        row.save,
        row.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(event="other"),
    ):
        with pytest.raises(TypeError, match="An audit event is never"):
            change()
    assert events() == ["shop.note"]


def test_the_row_outlives_the_user(person):
    record_event("shop.note", user=person)
    subject = str(person.pk)

    person.delete()

    row = AuditEvent.objects.get()
    assert (row.user, row.subject) == (None, subject)


def test_old_rows_are_purged(db, settings):
    settings.NTC_AUDIT_KEEP_DAYS = 30
    now = datetime.now(tz=UTC)
    AuditEvent.objects.bulk_create(
        AuditEvent(event="old", created_at=now - timedelta(days=31)) for _ in range(5)
    )
    AuditEvent.objects.create(event="kept", created_at=now - timedelta(days=29))

    assert AuditEvent.objects.all().purge(before=now - timedelta(days=30), batch=2) == 2
    purge()

    assert events() == ["kept"]


@pytest.fixture
def staff_client(client, db):
    """Return a client of a member of staff who may read the audit, no more."""
    staff = User.objects.create_user(username="staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename="view_auditevent"))
    client.force_login(staff)
    return client


def test_staff_read_events_and_search_them(staff_client):
    record_event("shop.note", note="hello")
    row = AuditEvent.objects.get(event="shop.note")

    assert "shop.note" in staff_client.get(f"{PAGE}?q={row.request_id}").content.decode()
    assert staff_client.get(f"{PAGE}?q=0199c0de-0000-7000-8000-000000000000").status_code == 200
    assert "hello" in staff_client.get(f"{PAGE}{row.pk}/change/").content.decode()


def test_staff_see_who_it_was_masked_and_by_id_when_they_are_gone(staff_client):
    phone = "+255712345678"
    owner = User.objects.create_user(username=phone)
    record_event("shop.note", user=owner)
    row = AuditEvent.objects.get(event="shop.note")
    pages = [PAGE, f"{PAGE}{row.pk}/change/"]

    seen = "".join(staff_client.get(page).content.decode() for page in pages)
    owner.delete()
    afterwards = [staff_client.get(page).content.decode() for page in pages]

    assert "+2557****678" in seen
    assert phone not in seen
    assert all(row.subject in page for page in afterwards)


@pytest.mark.parametrize("path", ["add/", "{pk}/delete/"])
def test_nobody_adds_or_deletes_an_event_in_the_admin(staff_client, path):
    User.objects.update(is_superuser=True)
    row = AuditEvent.objects.get()

    assert staff_client.get(PAGE + path.format(pk=row.pk)).status_code == 403
    answer = staff_client.post(f"{PAGE}{row.pk}/change/", {"event": "other"})
    assert answer.status_code == 403


def test_a_transaction_around_requests_is_refused_at_start_up(monkeypatch):
    assert check_transactions() == []

    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    assert [problem.id for problem in check_transactions()] == ["ntc_auth.E020"]
