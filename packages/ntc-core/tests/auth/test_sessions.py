"""A session: opened by sign-in, carried on by refresh, ended at once."""

from __future__ import annotations

import contextlib
import logging
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import RequestFactory
from ntc_core.auth import services
from ntc_core.auth.errors import CredentialsInvalid, TokenInvalid
from ntc_core.auth.models import AuthSession, EndReason, RefreshRecord
from ntc_core.auth.tokens import access_jti, mint, next_jti, read

from tests.auth.conftest import PASSWORD
from tests.auth.hashers import CountingHasher


def later(**delta: float) -> time_machine.travel:
    return time_machine.travel(datetime.now(tz=UTC) + timedelta(**delta))


def test_sign_in_stores_no_usable_token(signed_in):
    second = services.refresh(refresh_token=signed_in.refresh)
    rows = [*AuthSession.objects.all(), *RefreshRecord.objects.all()]
    stored = " ".join(str(value) for row in rows for value in vars(row).values())

    assert len(rows) == 3
    for token in (signed_in.refresh, second.refresh):
        jti = read(token, token_type="refresh").jti
        assert token not in stored
        assert jti not in stored
        assert next_jti(jti) not in stored
        assert access_jti(jti) not in stored
    assert signed_in.access not in stored


def test_sign_in_notes_the_device_but_not_the_exact_address(person):
    request = RequestFactory().post(
        "/", headers={"User-Agent": "Phone\x07/1.0 " + "x" * 500}, REMOTE_ADDR="41.59.10.77"
    )

    session = services.sign_in(user=person, request=request).session

    assert session.user_agent.startswith("Phone/1.0 ")
    assert len(session.user_agent) == 200
    assert session.ip_prefix == "41.59.10.0/24"


@pytest.mark.parametrize(
    ("address", "prefix"),
    [("2001:db8:1:2:3::4", "2001:db8:1::/48"), ("", ""), ("unix:", "")],
)
def test_sign_in_keeps_only_the_network(person, address, prefix):
    request = RequestFactory().post("/", REMOTE_ADDR=address)

    assert services.sign_in(user=person, request=request).session.ip_prefix == prefix


def test_sign_in_notes_last_login_and_nothing_else_does(person):
    assert person.last_login is None

    services.sign_in(user=person)
    moment = User.objects.get().last_login
    person.save()

    assert moment is not None
    assert User.objects.get().last_login == moment


def test_inactive_user_cannot_sign_in(person):
    person.is_active = False

    with pytest.raises(CredentialsInvalid):
        services.sign_in(user=person)
    assert not AuthSession.objects.exists()


def test_refresh_token_ends_after_fourteen_days_without_use(signed_in):
    with later(days=13, hours=23):
        assert services.refresh(refresh_token=signed_in.refresh)
    with later(days=14, minutes=1), pytest.raises(TokenInvalid):
        services.refresh(refresh_token=signed_in.refresh)


def test_access_token_lasts_fifteen_minutes(signed_in):
    lifetime = signed_in.access_expires_at - datetime.now(tz=UTC)

    assert timedelta(minutes=14, seconds=58) < lifetime <= timedelta(minutes=15)


def test_session_ends_however_often_it_is_refreshed(signed_in, settings):
    end = signed_in.session.expires_at
    token = signed_in.refresh
    for _ in range(6):
        with later(days=13 * (_ + 1)):
            token = services.refresh(refresh_token=token).refresh

    with later(days=89):
        last = services.refresh(refresh_token=token)
    with later(days=90, seconds=1), pytest.raises(TokenInvalid):
        services.refresh(refresh_token=last.refresh)
    assert last.refresh_expires_at <= end
    assert AuthSession.objects.get().expires_at == end


@pytest.mark.parametrize("make_over", ["deactivate", "delete", "sign_out", "sign_out_everywhere"])
def test_refresh_is_refused_when_session_or_user_is_over(person, signed_in, make_over):
    if make_over == "deactivate":
        User.objects.update(is_active=False)
    elif make_over == "delete":
        person.delete()
    elif make_over == "sign_out":
        services.sign_out(refresh_token=signed_in.refresh)
    else:
        services.sign_out_everywhere(user=person)

    with pytest.raises(TokenInvalid):
        services.refresh(refresh_token=signed_in.refresh)


def test_token_of_another_user_for_this_session_is_refused(signed_in):
    forged, _ = mint(
        token_type="refresh",
        subject="999999",
        session_uid=signed_in.session.uid,
        expires_at=signed_in.refresh_expires_at,
    )

    with pytest.raises(TokenInvalid):
        services.refresh(refresh_token=forged)


@pytest.mark.django_db
def test_token_without_a_session_is_refused():
    text, _ = mint(
        token_type="refresh",
        subject="1",
        session_uid=uuid.uuid4(),
        expires_at=datetime.now(tz=UTC) + timedelta(days=1),
    )

    with pytest.raises(TokenInvalid):
        services.refresh(refresh_token=text)


def test_sign_out_ends_only_this_session_and_may_be_repeated(person, signed_in):
    other = services.sign_in(user=person)

    services.sign_out(refresh_token=signed_in.refresh)
    ended_at = AuthSession.objects.get(pk=signed_in.session.pk).revoked_at
    services.sign_out(refresh_token=signed_in.refresh)

    ended = AuthSession.objects.get(pk=signed_in.session.pk)
    assert ended.revoked_at == ended_at
    assert ended.revoked_reason == EndReason.LOGOUT
    assert services.refresh(refresh_token=other.refresh)


def test_sign_out_everywhere_can_spare_one_session(person, signed_in):
    other = services.sign_in(user=person)
    stranger = services.sign_in(user=User.objects.create_user(username="juma"))

    ended = services.sign_out_everywhere(
        user=person, except_session=other.session, reason=EndReason.PASSWORD_CHANGED
    )

    assert ended == 1
    assert services.refresh(refresh_token=other.refresh)
    assert services.refresh(refresh_token=stranger.refresh)
    with pytest.raises(TokenInvalid):
        services.refresh(refresh_token=signed_in.refresh)


def test_end_session_tells_whether_it_was_open(signed_in):
    assert services.end_session(signed_in.session, reason=EndReason.STAFF)
    assert not services.end_session(signed_in.session, reason=EndReason.STAFF)
    assert str(signed_in.session) == str(signed_in.session.uid)


def test_verifying_does_not_tell_whether_a_refresh_token_is_spent(signed_in):
    """Who has stolen one would learn when the owner refreshed, and not give themselves away."""
    before = services.verify_token(signed_in.refresh)
    second = services.refresh(refresh_token=signed_in.refresh)

    assert services.verify_token(signed_in.refresh) == before
    assert services.verify_token(second.refresh)
    assert services.verify_token(signed_in.access)
    services.sign_out(refresh_token=second.refresh)
    with pytest.raises(TokenInvalid):
        services.verify_token(signed_in.refresh)


def test_token_of_another_type_is_not_valid(signed_in):
    with pytest.raises(TokenInvalid):
        services.verify_token(signed_in.access, token_types=("refresh",))


@pytest.mark.parametrize("case", ["right", "wrong", "inactive", "unknown"])
def test_every_login_costs_one_hash(settings, db, case):
    """So the time it takes tells nobody who has an account."""
    settings.PASSWORD_HASHERS = ["tests.auth.hashers.CountingHasher"]
    User.objects.create_user(username="asha", password=PASSWORD, is_active=case != "inactive")
    CountingHasher.count = 0

    with contextlib.suppress(CredentialsInvalid):
        services.authenticate(
            identifier="nobody" if case == "unknown" else "asha",
            password="wrong" if case == "wrong" else PASSWORD,
        )

    assert CountingHasher.count == 1


@pytest.mark.django_db
@pytest.mark.parametrize("identifier", ["asha", "0712 345 678", "asha@example.com"])
def test_failed_login_is_logged_without_the_name_or_the_password(caplog, identifier):
    caplog.set_level(logging.INFO)

    with pytest.raises(CredentialsInvalid):
        services.authenticate(identifier=identifier, password=PASSWORD)

    logged = "\n".join(str(vars(record)) for record in caplog.records)
    assert "auth.login.failed" in logged
    assert identifier not in logged
    assert "712345678" not in logged
    assert PASSWORD not in logged


def test_log_lines_of_a_session_hold_no_token(caplog, person):
    caplog.set_level(logging.INFO)

    first = services.sign_in(user=person)
    second = services.refresh(refresh_token=first.refresh)
    services.sign_out(refresh_token=second.refresh)
    services.sign_out_everywhere(user=person)

    events = [record.getMessage() for record in caplog.records]
    assert events == ["auth.login.ok", "auth.refresh.ok", "auth.logout", "auth.logout_all"]
    logged = "\n".join(str(vars(record)) for record in caplog.records)
    for token in (first.access, first.refresh, second.access, second.refresh):
        assert token.rpartition(".")[2] not in logged
