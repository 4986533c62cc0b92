"""What a stranger may call, and which variables an installation may set: both lists are closed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from .processes import PROJECT_DIR

#: Everything that answers without a sign-in. A new view is closed until it stands here.
PUBLIC = {
    "api/v1/accounts/password/reset/",
    "api/v1/accounts/password/reset/confirm/",
    "api/v1/accounts/register/",
    "api/v1/accounts/verify/",
    "api/v1/accounts/verify/resend/",
    "api/v1/auth/csrf/",  # known by the cookies
    "api/v1/auth/login/",
    "api/v1/auth/logout/",  # a refresh token is proof enough
    "api/v1/auth/logout-all/",  # likewise
    "api/v1/auth/refresh/",
    "api/v1/auth/verify/",
    "api/v1/plans/",
    "docs/",
    "schema/",
}
#: Not views of REST framework: they prove their callers in their own way, or answer everybody.
OTHER = {
    ".well-known/jwks.json",
    "admin/",
    "api/v1/webhooks/payments/<str:provider>/",
    "health/live/",
    "health/ready/",
}

VARIABLE = re.compile(r'env(?:\.\w+\(\s*|, )"([A-Z][A-Z0-9_]+)"')


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Return every path with its callback; the admin counts as one."""
    for pattern in resolver.url_patterns:
        path = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            yield path, pattern.callback
        elif path == "admin/":
            yield path, None
        else:
            yield from patterns(pattern, path)


def test_who_may_call_what_without_a_sign_in():
    public, other = set(), set()
    for path, callback in patterns(get_resolver()):
        view = getattr(callback, "cls", None)
        if view is None or not issubclass(view, APIView):
            other.add(path)
        elif not view.permission_classes or AllowAny in view.permission_classes:
            public.add(path)

    assert public == PUBLIC
    assert other == OTHER


def test_development_screens_need_debug():
    assert settings.DEBUG is False
    assert not [path for path, _ in patterns(get_resolver()) if path.startswith("dev/")]


def test_every_variable_is_in_the_example():
    """`.env.example` is the list of what may be set; a variable that is not there is a secret."""
    read = {
        name
        for path in (PROJECT_DIR / "farajayangu_be" / "settings").glob("*.py")
        for name in VARIABLE.findall(path.read_text())
    }
    example = (PROJECT_DIR.parents[1] / ".env.example").read_text()
    listed = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))

    assert {"SECRET_KEY", "PAYMENT_PROVIDERS", "SIMULATOR_API_KEY", "EMAIL_URL"} <= read
    assert read <= listed, sorted(read - listed)
