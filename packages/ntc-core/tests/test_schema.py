"""The document says what the API answers."""

from __future__ import annotations

import io
import json
import re

import jsonschema
import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import path as url_path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiCallback, OpenApiExample, extend_schema
from drf_spectacular.validation import validate_schema
from ntc_core import schema as schema_package
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from tests.models import Shop
from tests.shop_views import HelloOutput

API = "/api/v1"


@pytest.fixture(scope="module")
def document():
    return SchemaGenerator().get_schema(request=None, public=True)


def schema_of(document, path, method="get", status="200"):
    content = document["paths"][f"{API}{path}"][method]["responses"][status]["content"]
    return content["application/json"]["schema"]


def resolve(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def component(document, name):
    return document["components"]["schemas"][name]


def test_the_command_is_content_even_when_warnings_fail():
    out = io.StringIO()

    call_command("spectacular", "--validate", "--fail-on-warn", "--format=openapi-json", stdout=out)

    assert json.loads(out.getvalue())["openapi"].startswith("3.")


def test_an_object_is_wrapped_under_its_own_name(document):
    assert schema_of(document, "/hello/") == {"$ref": "#/components/schemas/EnvelopedHelloOutput"}
    assert component(document, "EnvelopedHelloOutput") == {
        "type": "object",
        "properties": {
            "status": {"$ref": "#/components/schemas/SuccessStatus"},
            "message": {"type": "string"},
            "data": {"$ref": "#/components/schemas/HelloOutput"},
        },
        "required": ["status", "message", "data"],
        "additionalProperties": False,
    }


def test_a_page_is_inside_the_envelope_not_around_it(document):
    for path in ("/shops/", "/shops-by-offset/", "/shops-by-cursor/"):
        envelope = resolve(document, schema_of(document, path))
        page = resolve(document, envelope["properties"]["data"])
        assert set(page["properties"]) == {"count", "next", "previous", "results"}
        assert page["properties"]["results"]["items"] == {"$ref": "#/components/schemas/Shop"}


def test_a_bare_list_is_named_after_its_items(document):
    assert schema_of(document, "/all-shops/")["$ref"].endswith("/EnvelopedShopList")
    data = component(document, "EnvelopedShopList")["properties"]["data"]
    assert data == {"type": "array", "items": {"$ref": "#/components/schemas/Shop"}}


def test_an_inline_schema_is_named_after_its_operation(document):
    assert schema_of(document, "/echo/", "post")["$ref"].endswith("/EnvelopedEchoCreate")


def test_an_answer_without_data_is_an_envelope_around_null(document):
    assert schema_of(document, "/hello/", "post", "202")["$ref"].endswith("/EnvelopedNothing")


def test_created_and_deleted_are_what_they_are(document):
    shop = document["paths"][f"{API}/shops/{{uid}}/"]

    assert schema_of(document, "/shops/", "post", "201")["$ref"].endswith("/EnvelopedShop")
    assert "content" not in shop["delete"]["responses"]["204"]


def test_files_and_views_with_another_renderer_are_not_wrapped(document):
    file = document["paths"][f"{API}/files/{{kind}}/"]["get"]["responses"]["200"]["content"]
    raw = document["paths"][f"{API}/raw/"]["get"]["responses"]

    assert file == {"text/csv": {"schema": {"type": "string", "format": "binary"}}}
    assert "$ref" not in raw["200"]["content"]["application/json"]["schema"]
    assert list(raw) == ["200"]


def statuses(document, path, method):
    return set(document["paths"][f"{API}{path}"][method]["responses"])


ALWAYS = {"400", "401", "406", "500"}


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/hello/", "get", {"200"} | ALWAYS),
        ("/hello/", "post", {"202", "403", "411", "413", "415"} | ALWAYS),
        ("/secret/", "get", {"200"} | ALWAYS),
        ("/staff/", "get", {"200", "403", "409"} | ALWAYS),
        ("/shops/", "get", {"200", "404"} | ALWAYS),
        ("/shops/", "post", {"201", "403", "411", "413", "415"} | ALWAYS),
        ("/shops/{uid}/", "get", {"200", "404"} | ALWAYS),
        ("/shops/{uid}/", "patch", {"200", "403", "404", "411", "413", "415"} | ALWAYS),
        ("/shops/{uid}/", "delete", {"204", "403", "404"} | ALWAYS),
        ("/all-shops/", "get", {"200"} | ALWAYS),
        ("/throttled/", "get", {"200", "429"} | ALWAYS),
    ],
)
def test_every_operation_names_the_errors_it_can_answer(document, path, method, expected):
    assert statuses(document, path, method) == expected


def test_errors_share_one_component_per_status(document):
    assert schema_of(document, "/hello/", "get", "401") == {"$ref": "#/components/schemas/Error401"}
    assert component(document, "Error401")["allOf"] == [
        {"$ref": "#/components/schemas/ErrorEnvelope"}
    ]
    for name, schema in document["components"]["schemas"].items():
        if re.fullmatch(r"Error\d+", name):
            assert matches(document, schema, schema["example"])


def test_our_own_extension_does_not_reach_the_document(document):
    assert "x-ntc" not in json.dumps(document)


def test_headers_are_documented(document):
    responses = document["paths"][f"{API}/throttled/"]["get"]["responses"]

    assert all("X-Request-ID" in response["headers"] for response in responses.values())
    assert "Retry-After" in responses["429"]["headers"]
    assert "WWW-Authenticate" in responses["401"]["headers"]


def test_operations_say_how_to_sign_in(document):
    assert document["paths"][f"{API}/secret/"]["get"]["security"] == [
        {"bearer": []},
        {"accessCookie": []},
    ]


def test_page_parameters_say_what_is_accepted(document):
    def minimums(path):
        parameters = document["paths"][f"{API}{path}"]["get"]["parameters"]
        return {each["name"]: each["schema"].get("minimum") for each in parameters}

    assert minimums("/shops/") == {"page": 1, "page_size": 1}
    assert minimums("/shops-by-offset/") == {"limit": 1, "offset": 0}
    assert minimums("/shops-by-cursor/") == {"cursor": None, "page_size": 1}


def test_a_status_field_of_a_model_does_not_meet_our_constants():
    class OrderOutput(serializers.Serializer):
        status = serializers.ChoiceField(choices=["open", "paid"])

    class OrderView(APIView):
        permission_classes = [AllowAny]

        @extend_schema(
            responses={200: OrderOutput, 409: HelloOutput, "default": HelloOutput},
            examples=[OpenApiExample("paid", value={"status": "paid"}, response_only=True)],
            callbacks=[
                OpenApiCallback(
                    "told",
                    "{$request.body#/url}",
                    extend_schema(request=None, responses=OrderOutput),
                )
            ],
        )
        def get(self, request):
            """Only documented."""

    made = document_of(OrderView)
    operation = made["paths"]["/x/"]["get"]

    assert set(component(made, "StatusEnum")["enum"]) == {"open", "paid"}
    assert operation["responses"]["409"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Error409"
    }
    example = operation["responses"]["200"]["content"]["application/json"]["examples"]["Paid"]
    assert example["value"]["data"] == {"status": "paid"}
    callback = operation["callbacks"]["told"]["{$request.body#/url}"]["post"]
    assert "Enveloped" not in json.dumps(callback)


def test_a_view_nobody_has_to_sign_in_to_but_that_has_a_permission_can_be_refused():
    class Closed(APIView):
        authentication_classes = []

        @extend_schema(responses=HelloOutput)
        def get(self, request):
            """Only documented."""

    responses = document_of(Closed)["paths"]["/x/"]["get"]["responses"]

    assert "403" in responses
    assert "401" not in responses


def test_a_view_with_cookies_can_fail_the_csrf_check():
    class ByCookie:
        enforces_csrf = True

        def authenticate(self, request):
            """Never called."""

    class Cookies(APIView):
        permission_classes = [AllowAny]
        authentication_classes = [ByCookie]

        @extend_schema(responses=HelloOutput, auth=[])
        def get(self, request):
            """Only documented."""

        @extend_schema(request=None, responses=HelloOutput, auth=[])
        def post(self, request):
            """Only documented."""

    operations = document_of(Cookies)["paths"]["/x/"]
    assert "403" in operations["post"]["responses"]
    assert "403" not in operations["get"]["responses"]


def document_of(view):
    made = SchemaGenerator(patterns=[url_path("x/", view.as_view())]).get_schema(
        request=None, public=True
    )
    validate_schema(made)
    return made


def as_json_schema(node):
    """Turn OpenAPI 3.0's `nullable` into what JSON Schema knows."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: as_json_schema(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") and "enum" not in node:
        return {"anyOf": [made, {"type": "null"}]}
    return made


def matches(document, schema, body):
    whole = {**as_json_schema(schema), "components": as_json_schema(document["components"])}
    jsonschema.validate(body, whole)
    return True


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "/hello/", None),
        ("post", "/hello/", {}),
        ("get", "/hello-function/", None),
        ("get", "/secret/", None),
        ("get", "/staff/", None),
        ("get", "/shops/", None),
        ("get", "/shops/?page=99", None),
        ("post", "/shops/", {"name": "Ilala"}),
        ("post", "/shops/", {"name": ""}),
        ("get", "/shops-by-offset/", None),
        ("get", "/shops-by-cursor/", None),
        ("get", "/all-shops/", None),
        ("get", "/echo/", None),
        ("post", "/echo/", {"a": 1}),
        ("post", "/orders/", {}),
        ("get", "/raw/", None),
    ],
)
def test_what_is_answered_is_what_is_documented(document, api_client, method, path, body):
    Shop.objects.create(name="Kariakoo")

    response = getattr(api_client, method)(f"{API}{path}", body)

    operations = document["paths"][f"{API}{path.partition('?')[0]}"]
    if method not in operations:
        assert response.status_code == 405
        return
    documented = operations[method]["responses"][str(response.status_code)]
    matches(document, documented["content"]["application/json"]["schema"], response.json())


def test_the_document_is_served_raw():
    client = Client()

    plain = client.get("/schema/")
    browser = client.get("/schema/", headers={"Accept": "application/yaml"})

    assert plain.headers["Content-Type"] == "application/json"
    assert plain.json()["info"]["title"] == "Core tests"
    assert yaml.safe_load(browser.content)["info"]["version"] == "1.0.0"


def test_the_docs_page_loads_everything_from_this_host():
    client = Client()

    page = client.get("/docs/", headers={"Accept": "text/html"}).content.decode()
    script = client.get("/docs/?script=", headers={"Accept": "*/*"}).content.decode()

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 5
    assert all(url.startswith("/") and not url.startswith("//") for url in loaded)
    assert "http://" not in page + script
    assert "https://" not in page + script
    assert '"validatorUrl": null' in script
    assert "/schema/" in script


def test_the_package_offers_its_urls():
    assert [str(url.pattern) for url in schema_package.schema_urls] == ["schema/", "docs/"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = schema_package.nothing
