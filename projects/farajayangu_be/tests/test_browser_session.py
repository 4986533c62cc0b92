"""Sign-in by cookie in a real browser, over TLS, from our front end and from other people's pages.

app.example.test is the front end that is listed, api.example.test the API, blog.example.test a
sub-domain of the same site that is not listed, evil.example.org another site.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
from ntc_core.testing.services import redis_url
from playwright.sync_api import Browser, BrowserContext, Page

from .browser import TIMEOUT_MS, run_chromium
from .pages import make_certificate, serve_pages
from .processes import free_ports, run, wait_until
from .stack import UVICORN

pytestmark = [pytest.mark.postgres, pytest.mark.redis]

EMAIL = "asha@example.com"
PASSWORD = "mti-mrefu-wa-mnazi"
MALLORY = "mallory@example.com"
HOSTS = ("api.example.test", "app.example.test", "blog.example.test", "evil.example.org")

# What a front end does; `csrf` is kept by the page, as an app would.
CALL = """async ([api, method, path, body, headers]) => {
  const answer = await fetch(api + path, {
    method,
    credentials: "include",
    headers: {"Content-Type": "application/json", "X-CSRF-Token": window.csrf ?? "1", ...headers},
    body: body === null ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  const json = text ? JSON.parse(text) : null;
  if (json?.data?.csrf_token) window.csrf = json.data.csrf_token;
  return {status: answer.status, body: json};
}"""

# What a page can send without asking anybody: no preflight.
ATTACK = """async ([api, path, type, body]) => {
  try {
    await fetch(api + path, {
      method: "POST", mode: "no-cors", credentials: "include",
      headers: {"Content-Type": type}, body,
    });
  } catch (error) { return String(error); }
  navigator.sendBeacon(api + path, new Blob([body], {type}));
  return "sent";
}"""

# What a page tries with a preflight.
BOLD_ATTACK = """async ([api, method, path, token]) => {
  try {
    const answer = await fetch(api + path, {
      method, credentials: "include",
      headers: {"Content-Type": "application/json", "X-CSRF-Token": token},
      body: "{}",
    });
    return answer.status;
  } catch (error) { return "blocked"; }
}"""

FORM = """([api, path, type]) => {
  const form = document.createElement("form");
  form.method = "POST"; form.action = api + path; form.enctype = type;
  const field = document.createElement("input");
  field.name = '{"current_password": "x", "a'; field.value = '": 1}';
  form.append(field); document.body.append(form); form.submit();
}"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """The running API, and where pages are served."""

    api_port: int
    pages_port: int
    database_url: str

    @property
    def api(self) -> str:
        return f"https://api.example.test:{self.api_port}/api/v1/"

    def page(self, host: str) -> str:
        return f"https://{host}:{self.pages_port}/"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Look into the database from outside."""
        connection = psycopg2.connect(self.database_url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def state(self) -> dict[str, Any]:
        """Return everything an attack could have changed."""
        return {
            "users": self.query(
                "SELECT id, password, full_name, language FROM accounts_user ORDER BY id"
            ),
            "sessions": self.query(
                "SELECT uid, revoked_at, last_used_at FROM ntc_auth_authsession ORDER BY id"
            ),
            "tokens": self.query("SELECT id, used_at FROM ntc_auth_refreshrecord ORDER BY id"),
            "payments": self.query("SELECT id FROM ntc_payments_payment ORDER BY id"),
        }


@pytest.fixture(scope="module")
def site(fresh_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the API with production settings behind TLS, and a server of pages."""
    folder = tmp_path_factory.mktemp("browser")
    certificate, key = make_certificate(folder, *HOSTS)
    (api_port,) = free_ports(1)
    with serve_pages(certificate, key) as pages_port:
        front_end = f"https://app.example.test:{pages_port}"
        env = {
            "DJANGO_SETTINGS_MODULE": "tests.settings_browser",
            "SECRET_KEY": secrets.token_urlsafe(64),
            "ALLOWED_HOSTS": "api.example.test",
            "DATABASE_URL": fresh_postgres,
            "REDIS_URL": str(redis_url(database=14)),
            "CORS_ALLOWED_ORIGINS": front_end,
            "CSRF_TRUSTED_ORIGINS": front_end,
        }
        create = "from apps.accounts.models import User; " + "; ".join(
            f"User.objects.create_user(email={email!r}, password={PASSWORD!r})"
            for email in (EMAIL, MALLORY)
        )
        with run("users", ["manage.py", "shell", "-c", create], env=env, folder=folder) as making:
            assert making.process.wait(60) == 0, making.output
        arguments = [
            *(*UVICORN, "--port", str(api_port)),
            *("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)),
        ]
        with run("api", arguments, env=env, folder=folder) as running:
            wait_until(
                lambda: "Uvicorn running" in running.output, what="the API", timeout_seconds=60
            )
            yield Site(api_port=api_port, pages_port=pages_port, database_url=fresh_postgres)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_chromium(*HOSTS) as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """Return a browser profile of its own."""
    context = browser.new_context(ignore_https_errors=True)
    context.set_default_timeout(TIMEOUT_MS)
    yield context
    context.close()


def call(
    page: Page, site: Site, method: str, path: str, body: Any = None, **headers: str
) -> dict[str, Any]:
    """Let the page call the API; return the status and the body."""
    answer: dict[str, Any] = page.evaluate(CALL, [site.api, method, path, body, headers])
    return answer


def sign_in(page: Page, site: Site, email: str = EMAIL) -> dict[str, Any]:
    body = {"identifier": email, "password": PASSWORD, "transport": "cookie"}
    answer = call(page, site, "POST", "auth/login/", body)
    assert answer["status"] == 200, answer
    return answer


@pytest.fixture
def app(context: BrowserContext, site: Site) -> Page:
    """Return our front end, signed in."""
    page = context.new_page()
    page.goto(site.page("app.example.test"))
    sign_in(page, site)
    return page


def test_our_front_end_does_everything(context, app, site):
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert set(cookies) == {"__Host-ntc_access", "__Secure-ntc_refresh", "__Host-ntc_csrf"}
    assert all(cookie["secure"] for cookie in cookies.values())
    assert app.evaluate("document.cookie") == ""

    assert call(app, site, "GET", "accounts/me/")["body"]["data"]["email"] == EMAIL
    assert call(app, site, "PATCH", "accounts/me/", {"full_name": "Asha"})["status"] == 200
    sessions = call(app, site, "GET", "auth/sessions/")["body"]["data"]["results"]
    assert "Chrome" in next(each["label"] for each in sessions if each["current"])

    def access_cookie_is_gone() -> bool:
        return "__Host-ntc_access" not in {cookie["name"] for cookie in context.cookies()}

    wait_until(access_cookie_is_gone, what="the end of the access cookie")
    assert call(app, site, "PATCH", "accounts/me/", {"full_name": "A"})["status"] == 401
    assert call(app, site, "POST", "auth/refresh/")["status"] == 200
    assert call(app, site, "PATCH", "accounts/me/", {"full_name": "Asha M"})["status"] == 200

    app.reload()
    assert call(app, site, "PATCH", "accounts/me/", {"full_name": "A"})["status"] == 403
    assert call(app, site, "GET", "auth/csrf/")["status"] == 200
    assert call(app, site, "PATCH", "accounts/me/", {"full_name": "Asha"})["status"] == 200

    assert call(app, site, "POST", "auth/logout/")["status"] == 200
    assert context.cookies() == []
    assert call(app, site, "GET", "accounts/me/")["status"] == 401


def test_two_tabs_that_refresh_at_once_both_stay_signed_in(context, app, site):
    tab = context.new_page()
    tab.goto(site.page("app.example.test"))
    assert call(tab, site, "GET", "auth/csrf/")["status"] == 200

    statuses = app.evaluate(
        """async ([call, ...rest]) => {
          const run = eval(call);
          return (await Promise.all([1, 2, 3, 4, 5, 6].map(() => run(rest)))).map(a => a.status);
        }""",
        [CALL, site.api, "POST", "auth/refresh/", None, {}],
    )

    assert statuses == [200] * 6
    for page in (app, tab):
        assert call(page, site, "PATCH", "accounts/me/", {"full_name": "Asha"})["status"] == 200


WRITES = [
    "auth/logout/",
    "auth/logout-all/",
    "auth/refresh/",
    "accounts/password/change/",
    "subscriptions/",
]


@pytest.mark.parametrize("host", ["blog.example.test", "evil.example.org"])
def test_other_peoples_pages_change_nothing(context, app, site, host):
    assert call(app, site, "GET", "accounts/me/")["status"] == 200
    csrf_token = next(c["value"] for c in context.cookies() if c["name"] == "__Host-ntc_csrf")
    before = site.state()
    page = context.new_page()
    page.goto(site.page(host))
    (uid, *_), *_ = before["sessions"]

    for path in WRITES:
        for content_type in ("text/plain", "application/x-www-form-urlencoded"):
            assert page.evaluate(ATTACK, [site.api, path, content_type, "{}"]) == "sent"
        # With a token that nobody there can know: the origin alone must be enough to refuse.
        assert page.evaluate(BOLD_ATTACK, [site.api, "POST", path, csrf_token]) == "blocked"
    for method, path in (("PATCH", "accounts/me/"), ("DELETE", f"auth/sessions/{uid}/")):
        assert page.evaluate(BOLD_ATTACK, [site.api, method, path, csrf_token]) == "blocked"
    for path in WRITES:
        for content_type in ("text/plain", "application/x-www-form-urlencoded"):
            with page.expect_navigation():
                page.evaluate(FORM, [site.api, path, content_type])
            assert '"status":"error"' in page.content()
            page.goto(site.page(host))

    assert site.state() == before
    assert len(context.cookies()) >= 2
    assert call(app, site, "POST", "auth/refresh/")["status"] == 200


@pytest.mark.parametrize("host", ["blog.example.test", "evil.example.org"])
def test_other_peoples_pages_sign_nobody_in(context, site, host):
    """Login CSRF: the victim would go on as the attacker."""
    before = site.state()
    page = context.new_page()
    page.goto(site.page(host))
    body = f'{{"identifier": "{MALLORY}", "password": "{PASSWORD}", "transport": "cookie"}}'

    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        page.evaluate(ATTACK, [site.api, "auth/login/", content_type, body])
    answer = page.evaluate(BOLD_ATTACK, [site.api, "POST", "auth/login/", "1"])

    assert answer == "blocked"
    assert context.cookies() == []
    assert site.state() == before


def test_cookie_planted_by_a_sub_domain_does_not_swap_the_person(browser, context, app, site):
    """A sub-domain may set cookies for its parent: it plants the attacker's refresh token."""
    attacker = browser.new_context(ignore_https_errors=True)
    page = attacker.new_page()
    page.goto(site.page("app.example.test"))
    sign_in(page, site, MALLORY)
    stolen = {cookie["name"]: cookie["value"] for cookie in attacker.cookies()}
    attacker.close()
    blog = context.new_page()
    blog.goto(site.page("blog.example.test"))

    for name, value in stolen.items():
        path = "/api/v1/auth/" if "refresh" in name else "/"
        blog.evaluate(
            "cookie => { document.cookie = cookie }",
            f"{name}={value}; Domain=example.test; Path={path}; Secure",
        )

    planted = [cookie for cookie in context.cookies() if cookie["domain"] == ".example.test"]
    assert [cookie["name"] for cookie in planted] == ["__Secure-ntc_refresh"]
    # It came twice, so it is as good as none.
    assert call(app, site, "POST", "auth/refresh/")["status"] == 400
    assert call(app, site, "GET", "auth/csrf/")["status"] == 200
    assert call(app, site, "GET", "accounts/me/")["body"]["data"]["email"] == EMAIL

    context.clear_cookies(name="__Secure-ntc_refresh", domain="api.example.test")
    for _ in range(2):
        assert call(app, site, "POST", "auth/refresh/")["status"] == 403
        assert call(app, site, "GET", "auth/csrf/")["status"] == 403
    context.clear_cookies(name="__Host-ntc_access")
    assert call(app, site, "GET", "auth/csrf/")["status"] == 401
    assert call(app, site, "POST", "auth/refresh/")["status"] == 403
    sign_in(app, site)
    assert call(app, site, "GET", "accounts/me/")["body"]["data"]["email"] == EMAIL


@pytest.mark.parametrize("space", ["\u2000", "\xa0", "\x85"], ids=ascii)
def test_cookie_with_a_disguised_name_does_not_swap_the_person(browser, context, app, site, space):
    """The browser does not see the prefix behind such a space; control characters it refuses."""
    attacker = browser.new_context(ignore_https_errors=True)
    page = attacker.new_page()
    page.goto(site.page("app.example.test"))
    sign_in(page, site, MALLORY)
    stolen = {cookie["name"]: cookie["value"] for cookie in attacker.cookies()}
    attacker.close()
    blog = context.new_page()
    blog.goto(site.page("blog.example.test"))

    for name, value in stolen.items():
        blog.evaluate(
            "cookie => { document.cookie = cookie }",
            f"{space}{name}={value}; Domain=example.test; Path=/; Secure",
        )

    assert space + "__Host-ntc_access" in {cookie["name"] for cookie in context.cookies()}
    assert call(app, site, "GET", "accounts/me/")["body"]["data"]["email"] == EMAIL
    assert call(app, site, "POST", "auth/refresh/")["status"] == 200
    assert call(app, site, "GET", "accounts/me/")["body"]["data"]["email"] == EMAIL
