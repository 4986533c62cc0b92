"""JSON in and JSON out: strict on the way in, complete on the way out."""

from __future__ import annotations

import datetime as dt
import enum
import io
import json
import socket

import pytest
from django.core.exceptions import RequestDataTooBig
from django.http import UnreadablePostError
from django.test import override_settings
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.parsers import MAX_JSON_DEPTH, StrictJSONParser
from ntc_core.renderers import encode_json
from ntc_core.testing import assert_error, assert_success
from rest_framework.exceptions import ParseError

ECHO = "/api/v1/echo/"


def post_raw(client, body, content_type="application/json"):
    return client.generic("POST", ECHO, body, content_type=content_type)


def test_every_type_is_written_as_documented(api_client):
    data = assert_success(api_client.get("/api/v1/odd-types/"))

    assert data == {
        "decimal": "15000.00",
        "uuid": "00000000-0000-0000-0000-000000000007",
        "lazy": "Yes",
        "moment": "2026-01-02T03:04:05.678900Z",
        "date": "2026-01-02",
        "time": "03:04:00",
        "duration": "60.0",
        "set": [1],
        "tuple": [1, 2],
        "range": [0, 1],
        "bytes": "abc",
        "address": "127.0.0.1",
        "nan": None,
        "infinity": [None, None],
        "7": "number as key",
    }


class Colour(enum.Enum):
    RED = "red"


class Numbers:
    def tolist(self):
        return [1, 2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**70, 2**70),
        ([2**70, float("nan"), 0.5, None, True], [2**70, None, 0.5, None, True]),
        ([2**70, Colour.RED], [2**70, "red"]),
        (
            [2**70, dt.datetime(2026, 1, 2, tzinfo=dt.UTC), dt.date(2026, 1, 2)],
            [2**70, "2026-01-02T00:00:00Z", "2026-01-02"],
        ),
        (
            [2**70, dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=3)))],
            [2**70, "2026-01-02T00:00:00+03:00"],
        ),
        ([2**70, {1}, (2,)], [2**70, [1], [2]]),
        ({gettext_lazy("Yes"): {None: 1, True: 2}}, {"Yes": {"null": 1, "true": 2}}),
        ("\ud800", "\ud800"),
        (Colour.RED, "red"),
        (Numbers(), [1, 2]),
    ],
)
def test_what_orjson_cannot_do_is_written_all_the_same(value, expected):
    assert json.loads(encode_json(value)) == expected


def test_very_deep_data_is_written():
    value = []
    for _ in range(400):
        value = [value]

    assert encode_json(value) == b"[" * 401 + b"]" * 401


def test_what_is_no_json_at_all_is_a_bug():
    with pytest.raises(TypeError):
        encode_json(object())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(json_values)
def test_any_json_survives_the_encoder(value):
    expected = json.loads(json.dumps(value), parse_constant=lambda _: None)

    assert json.loads(encode_json(value)) == expected


def test_a_good_body_comes_back(api_client):
    body = {"a": [1, 2.5, None, True, "ü"], "big": 2**53, "escaped": "\\u0000"}

    assert assert_success(api_client.post(ECHO, body)) == body


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xff"}',
        "{}".encode("utf-16"),
        b'{"a": "x\\u0000y"}',
        b'{"a\\u0000": 1}',
        b'{"a": "x\x00y"}',
        b"[" * (MAX_JSON_DEPTH + 2) + b"]" * (MAX_JSON_DEPTH + 2),
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:16]),
)
def test_a_body_nobody_can_store_is_refused(api_client, body):
    assert_error(post_raw(api_client, body), 400, "parse_error")


def test_a_wide_body_is_not_a_deep_one(api_client):
    body = json.dumps([[]] * 500).encode()

    assert len(assert_success(post_raw(api_client, body))) == 500


def test_another_charset_is_refused_not_guessed(api_client):
    body = '{"a": "ü"}'.encode("latin-1")

    assert_error(
        post_raw(api_client, body, "application/json; charset=latin-1"), 400, "parse_error"
    )
    assert_error(post_raw(api_client, b"{}", "application/json; charset=bz2"), 400, "parse_error")
    assert_success(post_raw(api_client, b"{}", "application/json; charset=UTF-8"))


def test_a_body_that_ends_early_is_400_over_a_real_socket(live_server):
    head = (
        f"POST {ECHO} HTTP/1.1\r\nHost: {live_server.thread.host}\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n"
    )
    with socket.create_connection((live_server.thread.host, live_server.thread.port)) as wire:
        wire.sendall(head.encode() + b'{"a": ')
        wire.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: wire.recv(65536), b""))

    first_line, _, rest = answer.partition(b"\r\n")
    assert first_line == b"HTTP/1.1 400 Bad Request"
    assert json.loads(rest.partition(b"\r\n\r\n")[2])["errors"][0]["code"] == "parse_error"


def test_a_body_whose_sender_hung_up_is_400():
    class HungUp(io.RawIOBase):
        def read(self, size=-1):
            raise UnreadablePostError("Connection reset by peer")

    with pytest.raises(ParseError, match="cut off"):
        StrictJSONParser().parse(HungUp())


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100)
def test_a_body_that_is_too_long_is_413(api_client):
    assert_error(api_client.post(ECHO, {"a": "x" * 200}), 413, "too_large")
    assert_success(api_client.post(ECHO, {"a": "x"}))


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=100)
def test_no_more_than_the_limit_is_read():
    stream = io.BytesIO(b'"' + b"x" * 1_000_000 + b'"')

    with pytest.raises(RequestDataTooBig):
        StrictJSONParser().parse(stream)

    assert stream.tell() == 101


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=None)
def test_without_a_limit_any_length_is_read(api_client):
    assert_success(api_client.post(ECHO, {"a": "x" * 3_000_000}))
