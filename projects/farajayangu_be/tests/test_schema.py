"""The OpenAPI document: without a warning, and every JSON answer has the envelope."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from .processes import PROJECT_DIR


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the document as `make check` makes it."""
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    made = subprocess.run(
        [
            *(sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn"),
            *("--format", "openapi-json", "--file", str(path)),
            *("--settings", "farajayangu_be.settings.test"),
        ],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def operations(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every operation with its name."""
    methods = {"get", "post", "put", "patch", "delete"}
    return [
        (f"{method.upper()} {path}", operation)
        for path, item in schema["paths"].items()
        for method, operation in item.items()
        if method in methods
    ]


def fields_of(schema: dict[str, Any], part: dict[str, Any]) -> set[str]:
    """Return the names of an object's fields, following references and `allOf`."""
    if "$ref" in part:
        part = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    fields = set(part.get("properties", {}))
    return fields.union(*(fields_of(schema, each) for each in part.get("allOf", [])))


def test_every_json_answer_has_the_envelope(schema):
    checked = 0
    for name, operation in operations(schema):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json")
            if content is None:
                continue
            fields = fields_of(schema, content["schema"])
            expected = {"status", "message", "data"}
            if status[0] in "45":
                expected |= {"errors", "request_id"}
            assert fields == expected, f"{name} {status}"
            checked += 1
    assert checked > 50


def test_every_path_of_this_project_is_described(schema):
    described = set(schema["paths"])
    assert {
        "/api/v1/accounts/register/",
        "/api/v1/accounts/verify/",
        "/api/v1/accounts/me/",
        "/api/v1/auth/login/",
        "/api/v1/auth/refresh/",
        "/api/v1/auth/logout/",
        "/api/v1/plans/",
        "/api/v1/subscriptions/",
        "/api/v1/subscriptions/me/",
        "/api/v1/payments/",
        "/api/v1/payments/{uid}/",
    } <= described
    assert not [path for path in described if path.startswith(("/dev/", "/admin/"))]


def test_subscribing_says_what_it_takes_and_gives(schema):
    operation = schema["paths"]["/api/v1/subscriptions/"]["post"]

    assert {"201", "400", "401", "422", "429"} <= set(operation["responses"])
    assert "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}


def test_payments_say_how_they_are_filtered(schema):
    parameters = schema["paths"]["/api/v1/payments/"]["get"]["parameters"]
    (status,) = [parameter for parameter in parameters if parameter["name"] == "status"]

    assert status["in"] == "query"
    assert {"open", "failed", "succeeded"} <= set(status["schema"]["enum"])


def test_plans_say_that_they_are_public(schema):
    operation = schema["paths"]["/api/v1/plans/"]["get"]

    assert operation.get("security", [{}]) == [{}]
    assert "401" not in operation["responses"]
