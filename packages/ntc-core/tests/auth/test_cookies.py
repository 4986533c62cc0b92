"""A session in a browser: cookies that no script reads, and nothing of them in a body."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from ntc_core.auth import services
from ntc_core.auth.models import AuthSession, EndReason
from ntc_core.testing import assert_error, assert_success

from tests.auth.browser import ACCESS, AUTH, CSRF, REFRESH, Browser
from tests.auth.conftest import PASSWORD

WHO = "/api/v1/who/"


@pytest.fixture
def browser(person: User) -> Browser:
    """Return a browser that is signed in."""
    browser = Browser()
    assert_success(browser.login())
    return browser


def test_login_puts_the_tokens_into_cookies_and_nowhere_else(person):
    browser = Browser()

    response = browser.login()

    data = assert_success(response)
    assert set(data) == {"user", "access_expires_at", "refresh_expires_at", "csrf_token"}
    for name in (ACCESS, REFRESH):
        assert browser.cookies[name].value not in response.content.decode()
    assert browser.cookies[CSRF].value == data["csrf_token"]
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "attributes", "seconds"),
    [
        (ACCESS, {"path": "/", "httponly": True, "samesite": "Lax"}, 15 * 60),
        (
            REFRESH,
            {"path": "/api/v1/auth/", "httponly": True, "samesite": "Strict"},
            14 * 24 * 3600,
        ),
        (CSRF, {"path": "/", "httponly": "", "samesite": "Strict"}, 14 * 24 * 3600),
    ],
)
def test_cookie_has_the_attributes_its_prefix_demands(browser, name, attributes, seconds):
    morsel = browser.cookies[name]

    assert morsel["secure"] is True
    assert morsel["domain"] == ""
    assert {key: morsel[key] for key in attributes} == attributes
    assert seconds - 5 <= morsel["max-age"] <= seconds


def test_with_debug_cookies_work_on_plain_http(person, settings):
    settings.DEBUG = True
    browser = Browser()

    browser.login()

    assert set(browser.cookies) == {"ntc_access", "ntc_refresh", "ntc_csrf"}
    assert not any(morsel["secure"] for morsel in browser.cookies.values())
    assert_success(browser.get(WHO))


def test_access_cookie_authenticates(browser):
    assert assert_success(browser.get(WHO)) == {"identifier": "asha"}
    assert assert_success(browser.post(WHO)) == {"identifier": "asha"}


def test_refresh_cookie_goes_to_the_auth_paths_only(browser):
    browser.drop(ACCESS)

    assert_error(browser.get(WHO), 401, code="not_authenticated")
    assert_success(browser.get(f"{AUTH}/csrf/"))


def test_refresh_renews_the_cookies_after_the_access_cookie_is_gone(browser):
    before = {name: morsel.value for name, morsel in browser.cookies.items()}
    browser.drop(ACCESS)

    response = browser.post(f"{AUTH}/refresh/")

    data = assert_success(response)
    assert set(data) == {"access_expires_at", "refresh_expires_at", "csrf_token"}
    assert browser.cookies[ACCESS].value != before[ACCESS]
    assert browser.cookies[REFRESH].value != before[REFRESH]
    assert browser.cookies[CSRF].value == before[CSRF] == data["csrf_token"]
    assert_success(browser.post(WHO))


def test_second_tab_within_the_grace_window_gets_the_same_cookies(browser):
    old = dict(browser.cookies)
    browser.post(f"{AUTH}/refresh/")
    winner = {name: morsel.value for name, morsel in browser.cookies.items()}

    browser.cookies = old
    assert_success(browser.post(f"{AUTH}/refresh/"))

    assert {name: morsel.value for name, morsel in browser.cookies.items()} == winner


def test_logout_ends_the_session_and_takes_the_cookies_away(browser):
    access = browser.cookies[ACCESS].value

    assert_success(browser.post(f"{AUTH}/logout/"))

    assert browser.cookies == {}
    assert not AuthSession.objects.get().is_live
    response = browser.get(WHO, Authorization=f"Bearer {access}")
    assert_error(response, 401, code="token_invalid")


@pytest.mark.parametrize("path", ["logout", "logout-all"])
def test_logout_by_a_token_in_the_body_leaves_other_cookies_alone(browser, path):
    juma = services.sign_in(user=User.objects.create_user(username="juma"))

    assert_success(browser.post(f"{AUTH}/{path}/", {"refresh": juma.refresh}))

    assert len(browser.cookies) == 3
    assert assert_success(browser.get(WHO)) == {"identifier": "asha"}


@pytest.mark.parametrize("lost", [ACCESS, None])
def test_logout_everywhere_works_by_either_cookie(browser, person, lost):
    services.sign_in(user=person)
    if lost:
        browser.drop(lost)

    assert_success(browser.post(f"{AUTH}/logout-all/"))

    assert browser.cookies == {}
    assert not AuthSession.objects.filter(revoked_at=None).exists()


def test_verify_takes_the_refresh_cookie(browser):
    data = assert_success(browser.post(f"{AUTH}/verify/"))

    assert data["token_type"] == "refresh"
    assert_success(browser.post(f"{AUTH}/refresh/"))


def test_login_in_the_same_browser_ends_the_session_before(browser, person):
    first = AuthSession.objects.get()

    assert_success(browser.login())

    first.refresh_from_db()
    assert first.revoked_reason == EndReason.REPLACED
    assert_success(browser.get(WHO))


def test_csrf_token_can_be_asked_for_after_a_reload(browser):
    token, browser.csrf_token = browser.csrf_token, ""

    assert assert_success(browser.get(f"{AUTH}/csrf/")) == {"csrf_token": token}

    browser.drop(CSRF)
    browser.csrf_token = assert_success(browser.get(f"{AUTH}/csrf/"))["csrf_token"]
    assert browser.csrf_token != token
    assert_success(browser.post(f"{AUTH}/refresh/"))


def test_csrf_token_can_be_asked_for_with_the_access_cookie_alone(browser):
    browser.drop(REFRESH)

    assert assert_success(browser.get(f"{AUTH}/csrf/"))["csrf_token"] == browser.csrf_token


def test_csrf_token_is_only_repeated_after_the_access_cookie_is_gone(browser):
    """Whoever has the refresh cookie alone may have been given it by a sub-domain."""
    token, browser.csrf_token = browser.csrf_token, ""
    browser.drop(ACCESS)

    assert assert_success(browser.get(f"{AUTH}/csrf/")) == {"csrf_token": token}
    browser.drop(CSRF)
    assert_error(browser.get(f"{AUTH}/csrf/"), 401, code="not_authenticated")


def test_csrf_token_is_repeated_beside_an_access_cookie_past_its_end(browser):
    browser.cookies[ACCESS].set(ACCESS, "nonsense", "nonsense")

    assert assert_success(browser.get(f"{AUTH}/csrf/")) == {"csrf_token": browser.csrf_token}
    assert_success(browser.post(f"{AUTH}/refresh/"))
    assert_success(browser.post(WHO))


def test_csrf_token_is_for_people_who_are_signed_in(person):
    assert_error(Browser().get(f"{AUTH}/csrf/"), 401, code="not_authenticated")
    browser = Browser()
    browser.login()
    services.sign_out_everywhere(user=person)
    assert_error(browser.get(f"{AUTH}/csrf/"), 401, code="token_invalid")


def test_header_wins_and_needs_no_csrf_token(browser):
    juma = services.sign_in(user=User.objects.create_user(username="juma"))

    response = browser.post(
        WHO, Authorization=f"Bearer {juma.access}", **{"X-CSRF-Token": "", "Sec-Fetch-Site": ""}
    )

    assert assert_success(response) == {"identifier": "juma"}


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic YTpi", "nonsense", " "])
def test_invalid_header_never_falls_back_to_a_cookie(browser, header):
    assert_error(browser.get(WHO, Authorization=header), 401)
    response = browser.post(f"{AUTH}/refresh/", Authorization=header)
    assert_error(response, 400, code="required", attr="refresh")


def test_token_in_the_body_is_answered_in_the_body(browser, signed_in):
    response = browser.post(f"{AUTH}/refresh/", {"refresh": signed_in.refresh})

    assert {"access", "refresh"} < set(assert_success(response))
    assert not response.cookies


def test_cookie_that_is_no_token_is_a_401(browser):
    browser.cookies[ACCESS].set(ACCESS, "nonsense", "nonsense")
    browser.cookies[REFRESH].set(REFRESH, "nonsense", "nonsense")

    assert_error(browser.get(WHO), 401, code="not_authenticated")
    assert_error(browser.post(f"{AUTH}/refresh/"), 401, code="token_invalid")


def test_dead_cookie_does_not_close_what_is_open_to_everybody(browser, person):
    services.sign_out_everywhere(user=person)

    assert_error(browser.get(WHO), 401, code="not_authenticated")
    assert_success(browser.get("/api/v1/open/"))
    assert_success(browser.post(f"{AUTH}/logout/"))
    assert browser.cookies == {}


def test_refresh_token_in_the_access_cookie_is_refused(browser):
    browser.cookies[ACCESS].set(ACCESS, browser.cookies[REFRESH].value, "")

    assert_error(browser.get(WHO), 401, code="not_authenticated")


@pytest.mark.parametrize("way", ["deactivate", "delete", "password"])
def test_browser_of_a_user_who_is_over_gets_401(browser, person, way):
    if way == "deactivate":
        User.objects.update(is_active=False)
    elif way == "delete":
        person.delete()
    else:
        services.sign_out_everywhere(user=person, reason=EndReason.PASSWORD_CHANGED)

    assert_error(browser.get(WHO), 401)
    assert_error(browser.post(WHO), 401)
    assert_error(browser.post(f"{AUTH}/refresh/"), 401, code="token_invalid")
    assert_error(browser.get(f"{AUTH}/csrf/"), 401, code="token_invalid")
    assert_error(browser.get(f"{AUTH}/sessions/"), 401)


def test_theft_from_a_browser_ends_the_session(browser):
    stolen = dict(browser.cookies)
    with time_machine.travel(datetime.now(tz=UTC), tick=False) as clock:
        assert_success(browser.post(f"{AUTH}/refresh/"))
        clock.shift(timedelta(seconds=11))

        thief = Browser()
        thief.cookies, thief.csrf_token = stolen, browser.csrf_token
        assert_error(thief.post(f"{AUTH}/refresh/"), 401, code="token_invalid")

        assert_error(browser.get(WHO), 401)
        assert_error(browser.post(f"{AUTH}/refresh/"), 401, code="token_invalid")


def test_login_with_the_header_leaves_the_session_of_the_cookies_alone(browser, person):
    """A call with the header is never mixed with cookies."""
    before = AuthSession.objects.get()
    other = services.sign_in(user=person)

    response = browser.post(
        f"{AUTH}/login/",
        {"identifier": "asha", "password": PASSWORD, "transport": "cookie"},
        **{"X-CSRF-Token": "1", "Authorization": f"Bearer {other.access}"},
    )

    assert_success(response)

    before.refresh_from_db()
    assert before.revoked_at is None
