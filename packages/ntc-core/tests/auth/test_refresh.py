"""One refresh token, one successor; a copy that comes late ends the session."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import jwt
import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import transaction
from django.test import RequestFactory
from ntc_core.auth import services
from ntc_core.auth.errors import TokenInvalid
from ntc_core.auth.models import AuditEvent, AuthSession, EndReason, RefreshRecord
from ntc_core.auth.signals import refresh_reused
from ntc_core.auth.tokens import hash_jti, read
from ntc_core.client import bind_request


@pytest.fixture
def told() -> Iterator[list[AuthSession]]:
    """Return the sessions of which `refresh_reused` tells."""
    sessions: list[AuthSession] = []

    def hear(session: AuthSession, **_: object) -> None:
        sessions.append(session)

    refresh_reused.connect(hear)
    yield sessions
    refresh_reused.disconnect(hear)


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_refresh_gives_new_tokens(signed_in):
    second = services.refresh(refresh_token=signed_in.refresh)

    assert second.refresh != signed_in.refresh
    assert second.access != signed_in.access
    assert services.refresh(refresh_token=second.refresh)
    assert AuthSession.objects.count() == 1
    assert RefreshRecord.objects.filter(used_at=None).count() == 1


def test_replay_within_the_grace_window_gives_the_identical_tokens(signed_in, told):
    with time_machine.travel(datetime.now(tz=UTC), tick=False) as clock:
        first = services.refresh(refresh_token=signed_in.refresh)
        clock.shift(timedelta(seconds=9.9))
        again = services.refresh(refresh_token=signed_in.refresh)

        assert (again.access, again.refresh) == (first.access, first.refresh)
        assert again.access_expires_at == first.access_expires_at
        assert RefreshRecord.objects.count() == 2
        assert services.refresh(refresh_token=again.refresh)
    assert told == []


def test_replay_within_the_window_leads_on_though_the_successor_is_spent(signed_in):
    """A slow tab gets what the fast one got, and from there to the current token."""
    second = services.refresh(refresh_token=signed_in.refresh)
    third = services.refresh(refresh_token=second.refresh)

    again = services.refresh(refresh_token=signed_in.refresh)

    assert again.refresh == second.refresh
    assert services.refresh(refresh_token=again.refresh).refresh == third.refresh


def test_replay_after_the_window_ends_the_session_for_thief_and_owner(signed_in, told, caplog):
    with time_machine.travel(datetime.now(tz=UTC), tick=False) as clock:
        owner = services.refresh(refresh_token=signed_in.refresh)
        clock.shift(timedelta(seconds=10))

        for _ in range(3):
            with pytest.raises(TokenInvalid):
                services.refresh(refresh_token=signed_in.refresh)

        for token in (owner.refresh, owner.access, signed_in.access):
            with pytest.raises(TokenInvalid):
                services.verify_token(token)
        with pytest.raises(TokenInvalid):
            services.refresh(refresh_token=owner.refresh)
    session = AuthSession.objects.get()
    assert session.revoked_reason == EndReason.REUSE
    assert told == [session]
    assert [record.message for record in caplog.records].count("auth.refresh.reuse") == 1


def test_other_sessions_of_the_owner_survive_a_theft(person, signed_in, settings):
    settings.NTC_REFRESH_GRACE_SECONDS = 0
    other = services.sign_in(user=person)
    services.refresh(refresh_token=signed_in.refresh)

    with pytest.raises(TokenInvalid):
        services.refresh(refresh_token=signed_in.refresh)

    assert services.refresh(refresh_token=other.refresh)


def test_receiver_that_breaks_does_not_keep_the_session_alive(signed_in, settings, caplog):
    settings.NTC_REFRESH_GRACE_SECONDS = 0
    services.refresh(refresh_token=signed_in.refresh)

    def break_down(**_: object) -> None:
        User.objects.create(username="asha")  # is there already

    refresh_reused.connect(break_down)
    with pytest.raises(TokenInvalid):
        services.refresh(refresh_token=signed_in.refresh)
    refresh_reused.disconnect(break_down)

    assert not AuthSession.objects.get().is_live
    assert "auth.refresh.reuse_untold" in caplog.text


@pytest.mark.parametrize("way", ["sign_out", "sign_out_everywhere", "deactivate"])
def test_end_of_a_session_counts_within_the_window_too(person, signed_in, told, way):
    services.refresh(refresh_token=signed_in.refresh)
    if way == "sign_out":
        services.sign_out(refresh_token=signed_in.refresh)
    elif way == "sign_out_everywhere":
        services.sign_out_everywhere(user=person)
    else:
        User.objects.update(is_active=False)

    with pytest.raises(TokenInvalid):
        services.refresh(refresh_token=signed_in.refresh)
    assert told == []


def test_tokens_say_when_the_user_signed_in_and_when_the_session_ends(signed_in):
    with time_machine.travel(datetime.now(tz=UTC) + timedelta(days=5)):
        second = services.refresh(refresh_token=signed_in.refresh)

    first, later = claims_of(signed_in.refresh), claims_of(second.refresh)
    assert later["auth_time"] == first["auth_time"] == first["iat"]
    assert later["session_exp"] == first["session_exp"]
    assert claims_of(second.access)["auth_time"] == first["auth_time"]
    assert later["iat"] > first["iat"]


def test_refresh_within_somebodys_transaction_is_refused(signed_in, transactional_db):
    """A rollback there would undo the end of a stolen session."""
    with pytest.raises(RuntimeError), transaction.atomic():
        services.refresh(refresh_token=signed_in.refresh)


def test_refresh_costs_four_statements(signed_in, django_assert_num_queries):
    """Find, spend, touch the session, insert; and the two ends of a transaction."""
    with django_assert_num_queries(6):
        services.refresh(refresh_token=signed_in.refresh)


def test_replay_costs_two_queries(signed_in, django_assert_num_queries):
    services.refresh(refresh_token=signed_in.refresh)

    with django_assert_num_queries(2):
        services.refresh(refresh_token=signed_in.refresh)


def test_token_whose_record_is_gone_is_refused(signed_in):
    second = services.refresh(refresh_token=signed_in.refresh)
    jti = read(second.refresh, token_type="refresh").jti
    RefreshRecord.objects.filter(jti_hash=hash_jti(jti)).delete()

    for token in (signed_in.refresh, second.refresh):
        with pytest.raises(TokenInvalid):
            services.refresh(refresh_token=token)


@pytest.mark.parametrize(("agent", "recorded"), [("Phone/1", 0), ("Thief/1", 1)])
def test_repeat_by_another_program_is_recorded(person, agent, recorded, caplog):
    """It cannot be told from a second tab, but staff may see that the token is in two hands."""
    ask = RequestFactory().post
    signed_in = services.sign_in(user=person, request=ask("/", headers={"User-Agent": "Phone/1"}))
    services.refresh(refresh_token=signed_in.refresh)

    with bind_request(ask("/", headers={"User-Agent": agent})):
        again = services.refresh(refresh_token=signed_in.refresh)

    assert again.refresh
    events = AuditEvent.objects.filter(event="auth.refresh.shared")
    assert events.count() == recorded
    assert [event.user_agent for event in events] == [agent] * recorded
