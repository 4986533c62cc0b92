"""People see where they are signed in, and end what they do not know."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import RequestFactory
from ntc_core.auth import services
from ntc_core.auth.devices import device_label
from ntc_core.auth.models import AuthSession, EndReason
from ntc_core.testing import assert_error, assert_success

from tests.auth.browser import AUTH, Browser

SESSIONS = f"{AUTH}/sessions/"
CHROME = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/130.0 Mobile Safari/537.36"
)


def bearer(signed_in: services.SignedIn) -> dict[str, str]:
    return {"Authorization": f"Bearer {signed_in.access}"}


def sign_in_with(person: User, user_agent: str) -> services.SignedIn:
    request = RequestFactory().post(
        "/", headers={"User-Agent": user_agent}, REMOTE_ADDR="41.59.10.77"
    )
    return services.sign_in(user=person, request=request)


def test_list_shows_the_live_sessions_of_the_caller(api_client, person, signed_in):
    phone = sign_in_with(person, CHROME)
    services.refresh(refresh_token=signed_in.refresh)
    services.sign_out(refresh_token=services.sign_in(user=person).refresh)
    services.sign_in(user=User.objects.create_user(username="juma"))

    data = assert_success(api_client.get(SESSIONS, headers=bearer(signed_in)))

    assert data["count"] == 2
    assert data["results"][1] == {
        "uid": str(phone.session.uid),
        "label": "Chrome on Android",
        "ip_prefix": "41.59.10.0/24",
        "created_at": data["results"][1]["created_at"],
        "last_used_at": data["results"][1]["last_used_at"],
        "expires_at": data["results"][1]["expires_at"],
        "current": False,
    }
    assert [each["current"] for each in data["results"]] == [True, False]


def test_list_leaves_out_who_has_not_refreshed_for_too_long(api_client, person):
    services.sign_in(user=person)
    with time_machine.travel(datetime.now(tz=UTC) + timedelta(days=14, minutes=1)):
        fresh = services.sign_in(user=person)

        data = assert_success(api_client.get(SESSIONS, headers=bearer(fresh)))

    assert [each["uid"] for each in data["results"]] == [str(fresh.session.uid)]


def test_another_device_is_signed_out_at_once(api_client, person, signed_in):
    other = services.sign_in(user=person)

    response = api_client.delete(f"{SESSIONS}{other.session.uid}/", headers=bearer(signed_in))

    assert response.status_code == 204
    assert_error(api_client.get(SESSIONS, headers=bearer(other)), 401, code="token_invalid")
    assert_success(api_client.get(SESSIONS, headers=bearer(signed_in)))
    ended = AuthSession.objects.get(pk=other.session.pk)
    assert ended.revoked_reason == EndReason.DEVICE
    again = api_client.delete(f"{SESSIONS}{other.session.uid}/", headers=bearer(signed_in))
    assert_error(again, 404, code="not_found")


def test_nobody_ends_somebody_elses_session(api_client, signed_in):
    other = services.sign_in(user=User.objects.create_user(username="juma"))

    for uid in (other.session.uid, uuid.uuid4()):
        response = api_client.delete(f"{SESSIONS}{uid}/", headers=bearer(signed_in))
        assert_error(response, 404, code="not_found")

    assert AuthSession.objects.get(pk=other.session.pk).is_live


def test_browser_that_ends_its_own_session_loses_its_cookies(person):
    browser = Browser()
    browser.login()
    uid = AuthSession.objects.get().uid

    assert browser.send("delete", f"{SESSIONS}{uid}/").status_code == 204

    assert browser.cookies == {}


def test_browser_that_ends_another_session_keeps_its_cookies(person, signed_in):
    browser = Browser()
    browser.login()

    browser.send("delete", f"{SESSIONS}{signed_in.session.uid}/")

    assert len(browser.cookies) == 3
    assert_success(browser.get(SESSIONS))


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "delete"])
def test_strangers_see_and_end_nothing(api_client, method):
    path = SESSIONS if method == "get" else f"{SESSIONS}{uuid.uuid4()}/"

    assert_error(getattr(api_client, method)(path), 401, code="not_authenticated")


@pytest.mark.parametrize(
    ("user_agent", "label"),
    [
        (CHROME, "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/130.0 Safari/537 Edg/130", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Firefox/132.0", "Firefox on Linux"),
        ("okhttp/4.12.0", "Android app"),
        ("FarajaYangu/3.1 (Android 14)", "FarajaYangu on Android"),
        ("x" * 200, "x" * 60),
        ("", ""),
    ],
)
def test_device_has_a_name_people_recognise(user_agent, label):
    assert device_label(user_agent) == label


def test_sudo_mode_asks_for_a_recent_sign_in(api_client, person, signed_in):
    def pay_out(tokens: services.SignedIn) -> Any:
        return api_client.post("/api/v1/payout/", headers=bearer(tokens))

    with time_machine.travel(datetime.now(tz=UTC) + timedelta(minutes=9, seconds=50)):
        assert_success(pay_out(signed_in))

    with time_machine.travel(datetime.now(tz=UTC) + timedelta(minutes=10, seconds=10)):
        second = services.refresh(refresh_token=signed_in.refresh)
        assert_error(pay_out(second), 403, code="sign_in_too_old")
        assert_success(pay_out(services.sign_in(user=person)))


def test_sudo_mode_is_for_sessions_of_ours(api_client, person):
    assert_error(api_client.post("/api/v1/payout/"), 401, code="not_authenticated")
    api_client.force_authenticate(person)
    assert_error(api_client.post("/api/v1/payout/"), 403, code="sign_in_too_old")


def test_last_use_is_told_to_the_hour(api_client, signed_in):
    """Who has stolen a token may see this list, and would learn when the owner refreshed."""
    [device] = assert_success(api_client.get(SESSIONS, headers=bearer(signed_in)))["results"]

    told = datetime.fromisoformat(device["last_used_at"])

    assert (told.minute, told.second, told.microsecond) == (0, 0, 0)
    assert timedelta() <= signed_in.session.last_used_at - told < timedelta(hours=1)
