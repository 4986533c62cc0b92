"""Whose page is it? Cookies alone change nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from ntc_core.auth.models import AuthSession
from ntc_core.auth.services import sign_in
from ntc_core.testing import assert_error, assert_success

from tests.auth.browser import ACCESS, AUTH, CSRF, REFRESH, Browser

WHO = "/api/v1/who/"
FRONT_END = "https://app.example.com"
LISTED = {"Sec-Fetch-Site": "same-site", "Origin": FRONT_END}
#: What other people's pages make a browser send.
FOREIGN = {
    "cross-site": {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.net"},
    "cross-site, no origin": {"Sec-Fetch-Site": "cross-site"},
    "cross-site, listed": {"Sec-Fetch-Site": "cross-site", "Origin": FRONT_END},
    "sub-domain": {"Sec-Fetch-Site": "same-site", "Origin": "https://blog.example.com"},
    "sub-domain, no origin": {"Sec-Fetch-Site": "same-site"},
    "old browser": {"Origin": "https://evil.example.net"},
    "old browser, null": {"Origin": "null"},
    "old browser, http": {"Origin": "http://testserver"},
    "old browser, port": {"Origin": "https://testserver:8443"},
    "old browser, prefix": {"Origin": "https://app.example.com.evil.net"},
    "old browser, broken": {"Origin": "https://[app.example.com"},
}


@pytest.fixture(autouse=True)
def _listed(settings: Any) -> None:
    settings.CSRF_TRUSTED_ORIGINS = [FRONT_END]


@pytest.fixture
def browser(person: User) -> Browser:
    """Return a browser that is signed in."""
    browser = Browser()
    assert_success(browser.login())
    return browser


@pytest.mark.parametrize("path", [WHO, f"{AUTH}/refresh/", f"{AUTH}/logout/", f"{AUTH}/verify/"])
@pytest.mark.parametrize("where", FOREIGN.values(), ids=FOREIGN.keys())
def test_other_pages_change_nothing_even_with_the_token(browser, path, where):
    browser.where = where

    assert_error(browser.post(path), 403, code="csrf_failed")
    assert AuthSession.objects.get().is_live


@pytest.mark.parametrize("where", FOREIGN.values(), ids=FOREIGN.keys())
def test_other_pages_sign_nobody_in(person, where):
    browser = Browser(**where)

    assert_error(browser.login(), 403, code="csrf_failed")
    assert not AuthSession.objects.exists()
    assert browser.cookies == {}


@pytest.mark.parametrize(
    "where", [LISTED, {"Origin": FRONT_END}, {"Origin": "https://testserver"}], ids=str
)
def test_listed_pages_and_our_own_do_everything(person, where):
    browser = Browser(**where)

    assert_success(browser.login())
    assert_success(browser.post(WHO))
    assert_success(browser.get(f"{AUTH}/csrf/"))
    assert_success(browser.post(f"{AUTH}/refresh/"))
    assert_success(browser.post(f"{AUTH}/logout/"))


def test_origins_may_be_listed_with_a_wildcard(person, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.com"]

    assert_success(Browser(**LISTED).login())
    for origin in ("http://app.example.com", "https://app.example.net", "https://aexample.com"):
        browser = Browser(**{"Sec-Fetch-Site": "same-site", "Origin": origin})
        assert_error(browser.login(), 403, code="csrf_failed")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:5173", 200),
        ("http://127.0.0.1:5173", 403),
        ("http://evil.localhost:5173", 403),
    ],
)
def test_with_debug_other_ports_of_the_same_host_are_ours(person, settings, origin, status):
    settings.DEBUG = True
    browser = Browser(**{"Host": "localhost:8000", "Sec-Fetch-Site": "same-site", "Origin": origin})

    assert browser.login().status_code == status


@pytest.mark.parametrize("path", ["login", "refresh", "logout", "verify"])
def test_auth_refuses_who_says_nothing_of_where_it_comes_from(browser, path):
    browser.where = {"Accept": "application/json"}

    response = browser.login() if path == "login" else browser.post(f"{AUTH}/{path}/")

    assert_error(response, 403, code="csrf_failed")


def test_elsewhere_the_token_is_proof_enough(browser):
    browser.where = {"Accept": "application/json"}

    assert_success(browser.post(WHO))


def token_of_another_session() -> str:
    other = Browser()
    other.login()
    return other.csrf_token


@pytest.mark.parametrize("path", [WHO, f"{AUTH}/refresh/", f"{AUTH}/logout/", f"{AUTH}/verify/"])
@pytest.mark.parametrize(
    "token", ["missing", "nonsense", "another session's", "altered", "non-ascii"]
)
def test_token_must_be_this_sessions(browser, path, token):
    right = browser.csrf_token
    browser.csrf_token = {
        "missing": "",
        "nonsense": "1",
        "another session's": token_of_another_session(),
        "altered": ("0" if right[0] != "0" else "1") + right[1:],
        "non-ascii": "\xe9" * 97,
    }[token]

    assert_error(browser.post(path), 403, code="csrf_failed")


@pytest.mark.parametrize("path", [WHO, f"{AUTH}/refresh/"])
def test_token_must_be_what_the_cookie_says(browser, path):
    """Also a good one: it has to come from a page that the cookie was given to."""
    browser.drop(CSRF)

    assert_error(browser.post(path), 403, code="csrf_failed")


def test_cookie_planted_from_a_sub_domain_is_not_followed(browser):
    """Only `__Host-` cookies cannot be planted; the refresh cookie can, the token's cannot."""
    attacker = Browser()
    User.objects.create_user(username="juma", password="not-a-real-password")
    assert_success(attacker.login(identifier="juma"))
    browser.cookies[REFRESH] = attacker.cookies[REFRESH]

    assert_error(browser.post(f"{AUTH}/refresh/"), 403, code="csrf_failed")


@pytest.fixture
def attacker(db: None) -> Browser:
    """Return the browser of somebody else, whose cookies a sub-domain may plant."""
    User.objects.create_user(username="juma", password="not-a-real-password")
    attacker = Browser()
    assert_success(attacker.login(identifier="juma"))
    return attacker


@pytest.mark.parametrize("lost", [(), (CSRF,)], ids=str)
def test_planted_refresh_cookie_beside_the_access_cookie_is_refused(browser, attacker, lost):
    own = dict(browser.cookies)
    for name in lost:
        browser.drop(name)
    browser.cookies[REFRESH] = attacker.cookies[REFRESH]

    assert_error(browser.get(f"{AUTH}/csrf/"), 403, code="csrf_failed")
    assert_error(browser.post(f"{AUTH}/refresh/"), 403, code="csrf_failed")

    assert browser.cookies[ACCESS] == own[ACCESS]
    assert assert_success(browser.get(WHO)) == {"identifier": "asha"}


@pytest.mark.parametrize("lost", [(ACCESS,), (ACCESS, CSRF)], ids=str)
def test_planted_refresh_cookie_alone_gets_no_token(browser, attacker, lost):
    for name in lost:
        browser.drop(name)
    browser.cookies[REFRESH] = attacker.cookies[REFRESH]

    assert_error(browser.get(f"{AUTH}/csrf/"), 401, code="not_authenticated")
    assert_error(browser.post(f"{AUTH}/refresh/"), 403, code="csrf_failed")

    assert ACCESS not in browser.cookies


def test_planted_refresh_cookie_gets_no_token_in_a_browser_that_nobody_used(attacker):
    victim = Browser()
    victim.cookies[REFRESH] = attacker.cookies[REFRESH]

    assert_error(victim.get(f"{AUTH}/csrf/"), 401, code="not_authenticated")
    assert_error(victim.post(f"{AUTH}/refresh/"), 403, code="csrf_failed")
    assert set(victim.cookies) == {REFRESH}


def test_planted_refresh_cookie_that_is_no_token_does_not_keep_the_page_from_its_own(browser):
    browser.cookies[REFRESH].set(REFRESH, "nonsense", "nonsense")

    assert_success(browser.get(f"{AUTH}/csrf/"))
    assert_success(browser.post(WHO))


def test_login_puts_right_what_was_planted(browser, attacker):
    browser.cookies[REFRESH] = attacker.cookies[REFRESH]

    assert_success(browser.login())
    assert_success(browser.post(f"{AUTH}/refresh/"))
    assert assert_success(browser.get(WHO)) == {"identifier": "asha"}


@pytest.mark.parametrize("space", ["\u2000", "\xa0", "\x85", "\x0b", "\x1c"], ids=ascii)
def test_names_that_only_look_like_ours_are_not_ours(browser, attacker, space):
    """A browser takes `U+2000 __Host-…` from a sub-domain; Django would strip the space."""
    mixed = f"{attacker.header(REFRESH)}; {space}{attacker.header(CSRF)}"
    browser.csrf_token = attacker.csrf_token

    refresh = browser.send_raw("post", f"{AUTH}/refresh/", mixed)
    who = browser.send_raw("get", WHO, f"{space}{attacker.header(ACCESS)}")
    beside = f"{browser.header(ACCESS)}; {space}{attacker.header(ACCESS)}"

    assert_error(refresh, 403, code="csrf_failed")
    assert_error(who, 401, code="not_authenticated")
    assert assert_success(browser.send_raw("get", WHO, beside)) == {"identifier": "asha"}


@pytest.mark.parametrize("name", [ACCESS, CSRF])
def test_cookie_that_came_twice_is_none(browser, attacker, name):
    everything = browser.header(ACCESS, CSRF)
    for twice in (
        f"{everything}; {attacker.header(name)}",
        f"{attacker.header(name)};{everything}",
        f"{everything}; {browser.header(name)}",
    ):
        assert browser.send_raw("post", WHO, twice).status_code in {401, 403}
    assert_success(browser.send_raw("post", WHO, everything))


def test_refresh_cookie_that_came_twice_is_none(browser, attacker):
    own = browser.header(REFRESH, CSRF)

    for twice in (f"{own}; {attacker.header(REFRESH)}", f"{attacker.header(REFRESH)}; {own}"):
        response = browser.send_raw("post", f"{AUTH}/refresh/", twice)
        assert_error(response, 400, code="required", attr="refresh")
    assert_success(browser.send_raw("post", f"{AUTH}/refresh/", own))


def test_login_needs_the_header(person):
    browser = Browser()

    response = browser.post(
        f"{AUTH}/login/",
        {"identifier": "asha", "password": "not-a-real-password", "transport": "cookie"},
    )

    assert_error(response, 403, code="csrf_failed")


def test_safe_methods_need_no_token(browser):
    browser.csrf_token = ""
    browser.where = FOREIGN["cross-site"]

    assert_success(browser.get(WHO))


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_form_can_send_is_refused(browser, content_type):
    browser.client.cookies.clear()
    for name, morsel in browser.cookies.items():
        browser.client.cookies[name] = morsel.value

    response = browser.client.generic(
        "POST",
        WHO,
        '{"a": 1}',
        content_type=content_type,
        secure=True,
        headers={**browser.where, "X-CSRF-Token": browser.csrf_token},
    )

    assert_error(response, 403, code="csrf_failed")


def test_token_survives_a_change_of_the_secret_key(browser, settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "x" * 60

    assert_success(browser.post(WHO))

    settings.SECRET_KEY_FALLBACKS = []
    assert_error(browser.post(WHO), 403, code="csrf_failed")
    browser.csrf_token = assert_success(browser.get(f"{AUTH}/csrf/"))["csrf_token"]
    assert_success(browser.post(WHO))


def test_csrf_token_is_not_given_to_other_pages(browser):
    browser.where = FOREIGN["sub-domain"]

    assert_error(browser.get(f"{AUTH}/csrf/"), 403, code="csrf_failed")


def test_token_mode_knows_no_csrf(api_client, person):
    access = sign_in(user=person).access

    response = api_client.post(
        WHO, headers={"Authorization": f"Bearer {access}", **FOREIGN["cross-site"]}
    )

    assert_success(response)
