"""What a stranger may call, and which variables an installation may set: both lists are closed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import URLPattern, URLResolver, get_resolver
from ntc_core.testing import assert_error
from rest_framework.permissions import AllowAny, IsAuthenticated
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
    "api/v1/notifications/unsubscribe/<str:token>/",  # the token is proof enough
    "api/v1/plans/",
    "docs/",
    "schema/",
}
#: Not views of REST framework: they prove their callers in their own way, or answer everybody.
OTHER = {
    ".well-known/jwks.json",
    "admin/",
    "api/v1/uploads/local/<path:key>",  # a signed address is proof enough
    "api/v1/webhooks/notify/<str:provider>/",
    "api/v1/webhooks/payments/<str:provider>/",
    "api/v1/webhooks/payments/<str:provider>/<slug:action>",
    "api/v1/webhooks/payments/<str:provider>/<slug:action>/",
    "health/live/",
    "health/ready/",
    "metrics",  # not there without METRICS_TOKEN
}

#: What signed-in people may call only with this permission, as members of staff.
STAFF = {
    "api/v1/payments/<uuid:uid>/refunds/": "ntc_payments.refund_payment",
    "api/v1/payments/<uuid:uid>/timeline/": "ntc_payments.view_paymentevent",
    "api/v1/payouts/": "ntc_payments.create_payout",
    "api/v1/payouts/<uuid:uid>/": "ntc_payments.create_payout",
    "api/v1/payouts/preview/": "ntc_payments.create_payout",
}

METHODS = ("get", "post", "put", "patch", "delete")
ANYBODY = "01999999-9999-7999-8999-999999999999"

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


def doors() -> list[tuple[str, str]]:
    """Return every closed route of REST framework with each method it knows."""
    return sorted(
        (path, method)
        for path, callback in patterns(get_resolver())
        if path not in PUBLIC | OTHER
        for method in METHODS
        if hasattr(callback.cls, method)
    )


def url_of(path: str) -> str:
    """Return an address the route takes."""
    return "/" + re.sub(r"<\w+:\w+>", ANYBODY, path)


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "method"), doors())
def test_a_stranger_is_asked_to_sign_in(api_client, path, method):
    answer = getattr(api_client, method)(url_of(path), {})

    assert_error(answer, 401, code="not_authenticated")


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "method"), doors())
def test_a_customer_is_let_in_everywhere_but_where_staff_work(signed_in_client, path, method):
    answer = getattr(signed_in_client, method)(url_of(path), {})

    assert answer.status_code != 401
    assert (answer.status_code == 403) == (path in STAFF)


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted(STAFF))
def test_staff_need_the_permission_and_the_permission_needs_staff(user, signed_in_client, path):
    app_label, _, codename = STAFF[path].partition(".")
    permission = Permission.objects.get(content_type__app_label=app_label, codename=codename)

    statuses = []
    for is_staff, permissions in ((True, []), (False, [permission]), (True, [permission])):
        get_user_model().objects.filter(pk=user.pk).update(is_staff=is_staff)
        user.user_permissions.set(permissions)
        statuses.append(signed_in_client.get(url_of(path)).status_code)

    # Who is let in finds nothing there, or that one does not GET it.
    assert statuses[:2] == [403, 403]
    assert statuses[2] in {404, 405}


def test_only_the_routes_of_staff_ask_for_more_than_a_sign_in():
    asking = {
        path
        for path, callback in patterns(get_resolver())
        if path not in PUBLIC | OTHER and set(callback.cls.permission_classes) != {IsAuthenticated}
    }

    assert asking == set(STAFF)


def test_what_changes_something_answers_no_get():
    """A link or an image of another page can make a browser send a GET, and nothing else."""
    both = {
        path
        for path, callback in patterns(get_resolver())
        if path in PUBLIC and hasattr(callback.cls, "post") and hasattr(callback.cls, "get")
    }

    # The page with the button; that looking at it changes nothing is tested with the package.
    assert both == {"api/v1/notifications/unsubscribe/<str:token>/"}


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
