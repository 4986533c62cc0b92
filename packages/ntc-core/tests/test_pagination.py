"""Three ways to page, one shape, and no page without an end."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from ntc_core.testing import assert_error, assert_success

from tests.models import Shop

pytestmark = pytest.mark.django_db

PAGES = "/api/v1/shops/"
OFFSETS = "/api/v1/shops-by-offset/"
CURSORS = "/api/v1/shops-by-cursor/"
ID_CURSORS = "/api/v1/shops-by-id-cursor/"


@pytest.fixture
def shops(db):
    Shop.objects.bulk_create(Shop(name=f"Shop {number}") for number in range(130))


@pytest.mark.parametrize(
    ("url", "count"), [(PAGES, 130), (OFFSETS, 130), (CURSORS, None), (ID_CURSORS, None)]
)
def test_every_pagination_has_the_same_shape_and_leads_through_the_whole_list(
    api_client, shops, url, count
):
    """Lesson 14: two other shapes were written by hand, many times over."""
    names = []
    while url:
        data = assert_success(api_client.get(url))
        assert data.keys() == {"count", "next", "previous", "results"}
        assert data["count"] == count
        assert len(data["results"]) <= 20
        names += [shop["name"] for shop in data["results"]]
        url = data["next"]

    assert len(names) == len(set(names)) == 130


@pytest.mark.parametrize("url", [PAGES, CURSORS, ID_CURSORS])
@pytest.mark.parametrize(
    ("asked", "given"), [("7", 7), ("100", 100), ("101", 100), ("9" * 40, 100)]
)
def test_the_page_size_is_the_client_s_up_to_100(api_client, shops, url, asked, given):
    """Lesson 14: page size was unbounded."""
    data = assert_success(api_client.get(f"{url}?page_size={asked}"))

    assert len(data["results"]) == given


@pytest.mark.parametrize(("asked", "given"), [("7", 7), ("007", 7), ("9" * 40, 100)])
def test_the_limit_is_the_client_s_up_to_100(api_client, shops, asked, given):
    assert len(assert_success(api_client.get(f"{OFFSETS}?limit={asked}"))["results"]) == given


def test_an_offset_beyond_the_end_is_an_empty_page(api_client, shops):
    assert assert_success(api_client.get(f"{OFFSETS}?offset={'9' * 40}"))["results"] == []


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=00",
        "page=-1",
        "page=x",
        "page=",
        "page=last",
        "page=1.0",
        "page=%EF%BC%91",
        "page_size=0",
        "page_size=x",
        "page_size=",
        "page_size=5&page_size=null",
    ],
)
def test_a_number_that_is_none_is_named(api_client, shops, query):
    assert_error(api_client.get(f"{PAGES}?{query}"), 400, "invalid", query.partition("=")[0])


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "offset=-1", "offset="])
def test_a_limit_or_offset_that_is_none_is_named(api_client, shops, query):
    assert_error(api_client.get(f"{OFFSETS}?{query}"), 400, "invalid", query.partition("=")[0])


def test_a_cursor_s_page_size_that_is_none_is_named(api_client, shops):
    assert_error(api_client.get(f"{CURSORS}?page_size=x"), 400, "invalid", "page_size")


@pytest.mark.parametrize("page", ["8", "9" * 40, "9" * 5000])
def test_a_page_that_is_not_there_is_404(api_client, shops, page):
    assert_error(api_client.get(f"{PAGES}?page={page}"), 404, "not_found", "page")


def made_up(position, query="p"):
    return quote(base64.b64encode(f"{query}={quote(position)}".encode()))


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%FF",
        made_up("tomorrow"),
        made_up("9" * 50),
        made_up("99999-01-01"),
        made_up("a\0b"),
        made_up("{}"),
        made_up("x", "o"),
    ],
)
@pytest.mark.parametrize("url", [CURSORS, ID_CURSORS])
def test_a_cursor_that_somebody_made_up_is_no_bug(api_client, shops, url, cursor):
    response = api_client.get(f"{url}?cursor={cursor}")

    if response.status_code != 200:
        assert_error(response, 404, "not_found", "cursor")


def test_a_cursor_of_another_list_is_404(api_client, shops):
    assert_error(api_client.get(f"{CURSORS}?cursor={made_up('tomorrow')}"), 404, "not_found")
    assert_error(api_client.get(f"{ID_CURSORS}?cursor={made_up('tomorrow')}"), 404, "not_found")
