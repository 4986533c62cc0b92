"""A test client that behaves as a browser does: a cookie jar with paths, and honest headers."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from tests.auth.conftest import PASSWORD

AUTH = "/api/v1/auth"
ACCESS = "__Host-ntc_access"
REFRESH = "__Secure-ntc_refresh"
CSRF = "__Host-ntc_csrf"
OUR_PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": "https://testserver"}


class Browser:
    """Keeps cookies, sends the refresh cookie to its path only, and says where calls come from."""

    def __init__(self, **where: str) -> None:
        self.client = APIClient(raise_request_exception=False)
        self.client.default_format = "json"
        self.where = where or OUR_PAGE
        self.cookies: dict[str, Any] = {}
        self.csrf_token = ""

    def login(self, **values: Any) -> Any:
        response = self.post(
            f"{AUTH}/login/",
            {"identifier": "asha", "password": PASSWORD, "transport": "cookie", **values},
            **{"X-CSRF-Token": "1"},
        )
        if response.status_code == 200:
            self.csrf_token = response.json()["data"]["csrf_token"]
        return response

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.send("post", path, body, **headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.send("get", path, None, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send with the page's CSRF token, unless `headers` say otherwise ("" sends none)."""
        headers = {**self.where, "X-CSRF-Token": self.csrf_token, **headers}
        self.client.cookies.clear()
        for name, morsel in self.cookies.items():
            if path.startswith(morsel["path"]):
                self.client.cookies[name] = morsel.value
        response = getattr(self.client, method)(
            path, body, secure=True, headers={name: text for name, text in headers.items() if text}
        )
        for name, morsel in response.cookies.items():
            if morsel["max-age"] == 0:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel
        return response

    def send_raw(self, method: str, path: str, cookies: str) -> Any:
        """Send this Cookie header as it is, byte for byte; learn nothing from the answer."""
        self.client.cookies.clear()
        return getattr(self.client, method)(
            path,
            secure=True,
            headers={**self.where, "X-CSRF-Token": self.csrf_token},
            HTTP_COOKIE=cookies.encode().decode("latin-1"),
        )

    def header(self, *names: str) -> str:
        """Return the Cookie header with these cookies."""
        return "; ".join(f"{name}={self.cookies[name].value}" for name in names)

    def drop(self, name: str) -> None:
        """Forget one cookie, as when it expires."""
        del self.cookies[name]
