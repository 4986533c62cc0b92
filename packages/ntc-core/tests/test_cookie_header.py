"""A cookie is called what its header says, not what is left of that after `str.strip()`."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import AsyncRequestFactory, RequestFactory
from ntc_core.middleware import RequestIdMiddleware

#: What `str.strip()` takes away and a browser does not.
SPACES = ["\u2000", "\u3000", "\xa0", "\x85", "\x0b", "\x0c", "\x1c", "\x1f"]


def cookies_of(header, *, factory):
    seen = {}

    def view(request):
        seen.update(request.COOKIES)
        return HttpResponse()

    header = header.encode().decode("latin-1")
    if isinstance(factory, AsyncRequestFactory):
        request = factory.get("/", headers={"Cookie": f"first=1; {header}; last=1"})
    else:
        request = factory.get("/", HTTP_COOKIE=header)
    RequestIdMiddleware(view)(request)
    return {name: value for name, value in seen.items() if name not in {",first", "first", "last"}}


@pytest.fixture(params=[RequestFactory, AsyncRequestFactory], ids=["wsgi", "asgi"])
def factory(request):
    """Return what builds requests as either kind of server does."""
    return request.param()


@pytest.mark.parametrize("space", SPACES, ids=ascii)
def test_disguised_names_are_dropped(factory, space):
    for name in (f"{space}__Host-id", f"__Host-id{space}", f" {space} __Host-id"):
        assert cookies_of(f"a=1; {name}=planted", factory=factory) == {"a": "1"}
        header = f"{name}=planted; __Host-id=own;{name}=planted"
        assert cookies_of(header, factory=factory) == {"__Host-id": "own"}


def test_raw_bytes_are_dropped_too():
    """ASGI gives Django latin-1, in which one byte is a space that UTF-8 does not know."""
    request = AsyncRequestFactory().get("/", headers={"Cookie": "a=1; \x85__Host-id=planted"})
    seen = {}

    def view(request):
        seen.update(request.COOKIES)
        return HttpResponse()

    RequestIdMiddleware(view)(request)

    assert "__Host-id" not in seen


def test_all_other_cookies_stay_as_they_were(factory):
    header = 'a=1;b="x y";\tc=Zo\u00eb=\u2000;  d=; nameless; __Host-id=own'

    cookies = cookies_of(header, factory=factory)

    assert {"a": "1", "b": "x y", "d": "", "": "nameless", "__Host-id": "own"}.items() <= (
        cookies.items()
    )
    assert "c" in cookies


def test_a_request_without_cookies_has_none():
    assert cookies_of("", factory=RequestFactory()) == {}
    request = RequestFactory().get("/")
    request.META.pop("HTTP_COOKIE", None)
    assert RequestIdMiddleware(lambda _: HttpResponse())(request).status_code == 200
