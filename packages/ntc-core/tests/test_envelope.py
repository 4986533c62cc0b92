"""Every answer has one shape, whoever made it."""

from __future__ import annotations

import json
import uuid

import pytest
from django.db import connection
from django.test import override_settings
from ntc_core.envelope import code_for_status, flatten_errors, message_for_status
from ntc_core.testing import assert_error, assert_success
from rest_framework.test import APIRequestFactory

from tests.models import Shop
from tests.shop_views import EmptyView

API = "/api/v1/"


def test_success_response_answers_the_three_keys(api_client):
    response = api_client.get(f"{API}hello/")

    assert response.json() == {
        "status": "success",
        "message": "Success",
        "data": {"hello": "world"},
    }
    assert response.headers["Content-Type"] == "application/json"


def test_success_response_without_data_answers_null_and_its_own_status(api_client):
    response = api_client.post(f"{API}hello/")

    assert assert_success(response, 202) is None
    assert response.json()["message"] == "On its way."


def test_a_function_view_is_wrapped(api_client):
    assert assert_success(api_client.get(f"{API}hello-function/")) == {"hello": "function"}


@pytest.mark.django_db
def test_an_untouched_viewset_answers_envelopes_for_every_method(api_client):
    created = api_client.post(f"{API}shops/", {"name": "Kariakoo"})
    shop = assert_success(created, 201)
    url = f"{API}shops/{shop['uid']}/"

    assert created.json()["message"] == "Created."
    assert assert_success(api_client.get(url))["name"] == "Kariakoo"
    assert assert_success(api_client.put(url, {"name": "Ilala"}))["name"] == "Ilala"
    assert assert_success(api_client.patch(url, {"name": "Temeke"}))["name"] == "Temeke"
    assert assert_success(api_client.get(f"{API}shops/"))["count"] == 1
    assert "name" in assert_success(api_client.options(url))
    gone = api_client.delete(url)
    assert (gone.status_code, gone.content) == (204, b"")
    assert_error(api_client.get(url), 404, "not_found")


def test_204_has_no_body_even_when_the_view_gives_one(api_client):
    # The view itself: the test client would drop the body that a server sends.
    response = EmptyView.as_view()(APIRequestFactory().get("/")).render()

    assert (response.status_code, response.content) == (204, b"")
    assert api_client.get(f"{API}empty/").status_code == 204


@pytest.mark.django_db
def test_a_bare_list_is_the_data_itself(api_client):
    Shop.objects.create(name="Kariakoo")

    data = assert_success(api_client.get(f"{API}all-shops/"))

    assert [shop["name"] for shop in data] == ["Kariakoo"]


@pytest.mark.parametrize("kind", ["stream", "file"])
def test_files_and_streams_stay_raw(api_client, kind):
    response = api_client.get(f"{API}files/{kind}/")

    assert b"".join(response.streaming_content) == b"a,b"
    assert response.headers["Content-Type"] == "text/csv"


def test_a_view_with_another_renderer_stays_raw_but_fails_in_the_envelope(api_client):
    assert api_client.get(f"{API}raw/").json() == {"keys": []}
    assert_error(api_client.get(f"{API}raw/?fail"), 409, "conflict")


def test_validation_names_nested_fields_with_dots(api_client):
    response = api_client.post(
        f"{API}orders/",
        {"items": [{"phone": "+255712345678", "count": 1}, {"phone": "0712", "count": 0}, 5]},
    )

    body = assert_error(response, 400, "invalid", "items.1.phone")
    assert body["message"] == "Some of the input is not valid."
    assert {(error["code"], error["attr"]) for error in body["errors"]} == {
        ("invalid", "items.1.phone"),
        ("min_value", "items.1.count"),
        ("invalid", "items.2"),
    }


def test_errors_of_the_whole_input_have_no_attr_and_are_the_message(api_client):
    items = [{"phone": "+255712345678", "count": 1}]

    response = api_client.post(f"{API}orders/", {"note": "closed", "items": items})

    body = assert_error(response, 400, "closed")
    assert body["errors"] == [{"code": "closed", "detail": "The shop is closed.", "attr": None}]
    assert body["message"] == "The shop is closed."


def test_errors_of_a_whole_item_point_to_the_item(api_client):
    response = api_client.post(
        f"{API}orders/", {"items": [{"phone": "+255712345678", "count": 13}]}
    )

    assert_error(response, 400, "unlucky", "items.0")


def test_a_list_as_body_is_indexed_from_the_top(api_client):
    good = {"items": [{"phone": "+255712345678", "count": 1}]}

    response = api_client.post(f"{API}orders/", [good, {}])

    assert_error(response, 400, "required", "1.items")


def test_a_body_of_the_wrong_type_is_explained(api_client):
    assert_error(api_client.post(f"{API}orders/", "text"), 400, "invalid")
    assert_error(api_client.post(f"{API}orders/", {"items": {}}), 400, "not_a_list", "items")


@pytest.mark.parametrize("way", ["as-errors", "as-message", "raw"])
def test_serializer_errors_passed_on_by_hand_are_flattened(api_client, way):
    """Lesson 12: `error_response(serializer.errors)` used to put an object into the message."""
    body = assert_error(api_client.post(f"{API}orders/{way}/", {}), 400, "required", "items")

    assert isinstance(body["message"], str)


def test_error_texts_passed_on_by_hand_keep_their_status(api_client):
    assert_error(api_client.post(f"{API}orders/plain/", {}), 409, "conflict")
    body = assert_error(api_client.post(f"{API}orders/raw-detail/", {}), 409, "conflict")
    assert body["message"] == "Gone fishing."
    assert_error(api_client.post(f"{API}orders/raw-nothing/", {}), 404, "not_found")


def test_an_error_response_with_a_success_status_is_a_bug(api_client):
    assert_error(api_client.post(f"{API}orders/not-an-error/", {}), 500, "server_error")


@pytest.mark.parametrize(
    ("kind", "status", "code", "attr"),
    [
        ("conflict", 409, "shop_closed", None),
        ("invalid", 400, "too_short", "items.0.name"),
        ("unauthenticated", 401, "not_authenticated", None),
        ("rate-limited", 429, "throttled", None),
        ("throttled", 429, "throttled", None),
        ("unavailable", 503, "unavailable", None),
        ("http404", 404, "not_found", None),
        ("denied", 403, "permission_denied", None),
        ("drf-denied", 403, "permission_denied", None),
        ("django-validation", 400, "invalid", "phone"),
        ("django-validation-text", 400, "invalid", None),
        ("simplejwt", 401, "token_not_valid", None),
        ("detail-field", 400, "invalid", "detail"),
        ("empty", 400, "invalid", None),
        ("old-list", 400, "invalid", "items.1.phone"),
        ("teapot", 500, "teapot", None),
        ("bad-request", 400, "bad_request", None),
        ("suspicious", 400, "bad_request", None),
    ],
)
def test_what_a_view_raises_becomes_its_error(api_client, kind, status, code, attr):
    response = api_client.get(f"{API}raise/{kind}/")

    body = assert_error(response, status, code, attr)
    assert "hunter2" not in response.content.decode()
    assert "Shop matches" not in body["message"]
    assert len(body["errors"]) == (2 if kind == "django-validation" else 1)


def test_texts_of_errors_reach_the_caller(api_client):
    def message_of(kind):
        return api_client.get(f"{API}raise/{kind}/").json()["message"]

    assert message_of("conflict") == "The shop is closed. Come back tomorrow."
    assert message_of("denied") == "Only on Mondays."
    assert message_of("django-validation") == "Worse."
    assert message_of("django-validation-text") == "Just no."
    assert message_of("simplejwt") == "Given token not valid"


def test_headers_that_belong_to_an_error_are_there(api_client):
    def headers_of(kind):
        return api_client.get(f"{API}raise/{kind}/").headers

    assert headers_of("rate-limited")["Retry-After"] == "17"
    assert headers_of("throttled")["Retry-After"] == "3"
    assert headers_of("unauthenticated")["WWW-Authenticate"] == "Bearer"
    assert headers_of("simplejwt")["WWW-Authenticate"] == "Bearer"


def test_a_view_that_names_no_permission_is_closed(api_client):
    """Lesson 18: undecorated views were public."""
    response = api_client.get(f"{API}secret/")

    assert_error(response, 401, "not_authenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["protected", "duplicate", "bug"])
def test_a_bug_is_a_500_that_says_nothing_but_is_logged(api_client, caplog, kind):
    response = api_client.get(f"{API}raise/{kind}/")

    assert_error(response, 500, "server_error")
    assert "hunter2" not in response.content.decode()
    errors = [record for record in caplog.records if record.name == "django.request"]
    assert errors[0].exc_info is not None


@pytest.mark.django_db(transaction=True)
def test_an_error_undoes_what_an_atomic_request_wrote(api_client):
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    try:
        assert_error(api_client.post(f"{API}half-done/"), 409)
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False

    assert not Shop.objects.exists()


def test_method_type_and_accept_that_are_not_served(api_client):
    assert_error(api_client.delete(f"{API}hello/"), 405, "method_not_allowed")
    assert "GET" in api_client.delete(f"{API}hello/").headers["Allow"]
    assert_error(
        api_client.post(f"{API}echo/", b"<a/>", content_type="application/xml"),
        415,
        "unsupported_media_type",
    )
    assert_error(
        api_client.get(f"{API}hello/", HTTP_ACCEPT="application/xml"), 406, "not_acceptable"
    )


def test_a_query_string_does_not_choose_the_renderer(api_client):
    assert_success(api_client.get(f"{API}hello/?format=api"))


def test_the_request_id_of_an_error_is_that_of_its_header(api_client):
    response = api_client.get(f"{API}raise/conflict/", HTTP_X_REQUEST_ID="checkout-42")

    assert response.json()["request_id"] == "checkout-42"
    assert response.headers["X-Request-ID"] == "checkout-42"


@pytest.mark.django_db
def test_an_unknown_uid_in_the_path_is_404(api_client):
    assert_error(api_client.get(f"{API}shops/{uuid.uuid4()}/"), 404, "not_found")
    assert_error(api_client.get(f"{API}shops/not-a-uid/"), 404, "not_found")


def test_items_that_are_errors_already_are_kept():
    item = {"code": "late", "detail": "Too late.", "attr": "when"}

    assert flatten_errors([item], default_code="invalid") == [item]
    assert flatten_errors(
        {"x": {"code": "late", "detail": "Too late."}}, default_code="invalid"
    ) == [{"code": "late", "detail": "Too late.", "attr": None}]


def test_fields_named_code_and_detail_are_fields():
    detail = {"code": ["Required."], "detail": ["Required."]}

    attrs = [error["attr"] for error in flatten_errors(detail, default_code="invalid")]

    assert attrs == ["code", "detail"]


def test_every_status_has_a_code_and_a_sentence():
    assert code_for_status(410) == "gone"
    assert message_for_status(410) == "Gone."
    assert code_for_status(418) == "im_a_teapot"
    assert code_for_status(499) == "bad_request"
    assert code_for_status(599) == "server_error"


@override_settings(DEBUG=True)
def test_debug_does_not_change_the_shape(api_client):
    assert_error(api_client.get(f"{API}raise/bug/"), 500, "server_error")
    assert json.loads(api_client.get(f"{API}hello/").content)["status"] == "success"
