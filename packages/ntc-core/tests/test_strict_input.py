"""Input takes the fields and the JSON types that the document names, and nothing else."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.fields import (
    PhoneField,
    StrictBooleanField,
    StrictDecimalField,
    StrictIntegerField,
    TextField,
    UidField,
)
from ntc_core.phone import parse_phone
from ntc_core.serializers import StrictModelSerializer, StrictSerializer
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.models import Shop


class Parcel(StrictSerializer):
    weight = StrictIntegerField(min_value=1, required=False)


class Order(StrictSerializer):
    json_schema = {"anyOf": [{"required": ["phone"]}, {"required": ["note"]}]}

    note = TextField(max_length=5, required=False)
    remark = TextField(max_length=5, required=False, allow_blank=True)
    phone = PhoneField(required=False)
    amount = StrictDecimalField(max_digits=8, decimal_places=2, required=False)
    count = StrictIntegerField(required=False)
    gift = StrictBooleanField(required=False)
    parcel = Parcel(required=False)
    uid = UidField(read_only=True)


class OrderView(APIView):
    @extend_schema(request=Order, responses=Order)
    def post(self, request):
        """Order something."""
        return Response()


def errors_of(data: Any, serializer: type[serializers.Serializer[Any]] = Order) -> dict[str, str]:
    form = serializer(data=data)
    form.is_valid()
    return {name: str(details[0].code) for name, details in form.errors.items()}


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({}, {}),
        ({"note": "abc", "amount": "12.50", "count": 3, "gift": True}, {}),
        ({"noet": "abc"}, {"noet": "unknown_field"}),
        ({"uid": "x"}, {"uid": "read_only"}),
        ({"nope": 1, "count": "1"}, {"nope": "unknown_field", "count": "invalid"}),
        ({"count": 1.0}, {}),
        ({"count": 1.5}, {"count": "invalid"}),
        ({"count": True}, {"count": "invalid"}),
        ({"gift": "true"}, {"gift": "invalid"}),
        ({"gift": 1}, {"gift": "invalid"}),
        ({"note": 1}, {"note": "invalid"}),
        ({"note": " " * 5}, {"note": "blank"}),
        ({"note": " abcd "}, {"note": "max_length"}),
        ({"note": "a\0"}, {"note": "null_characters_not_allowed"}),
        ({"amount": 12.5}, {"amount": "invalid"}),
        ({"amount": ""}, {"amount": "invalid"}),
        ({"amount": " 1"}, {"amount": "invalid"}),
        ({"amount": "NaN"}, {"amount": "invalid"}),
        ({"amount": "1.001"}, {"amount": "max_decimal_places"}),
    ],
)
def test_what_is_not_in_the_document_is_refused_by_name(data, errors):
    assert errors_of(data) == errors


def test_within_another_it_is_named_too():
    form = Order(data={"parcel": {"wieght": 3}})
    assert not form.is_valid()
    [detail] = form.errors["parcel"]["wieght"]
    assert detail == "There is no such field. Did you mean 'weight'?"


def test_a_model_serializer_takes_the_same():
    class ShopInput(StrictModelSerializer):
        class Meta:
            model = Shop
            fields = ["uid", "name"]
            read_only_fields = ["uid"]

    assert errors_of({"name": 5}, ShopInput) == {"name": "invalid"}
    assert errors_of({"name": "x", "uid": "y"}, ShopInput) == {"uid": "read_only"}
    assert errors_of({"name": "x", "nmae": "y"}, ShopInput) == {"nmae": "unknown_field"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    schema = SchemaGenerator(patterns=[path("api/v1/orders/", OrderView.as_view())]).get_schema(
        public=True
    )
    return schema["components"]["schemas"]["OrderRequest"]


def test_the_document_says_so(document):
    assert document["additionalProperties"] is False
    assert document["anyOf"] == [{"required": ["phone"]}, {"required": ["note"]}]
    assert "uid" not in document["properties"]
    assert document["properties"]["remark"] == {
        "type": "string",
        "maxLength": 5,
        "pattern": r"^[^\u0000]*$",
    }


@pytest.mark.parametrize("name", ["note", "remark", "phone", "amount"])
def test_a_text_is_taken_exactly_if_it_fits_the_document(name, document):
    """But for numbers of other countries, which no pattern tells from mistakes."""
    rule = document["properties"][name]
    pattern = re.compile(rule["pattern"])

    @given(
        st.one_of(
            st.text(max_size=7),
            st.from_regex(pattern, fullmatch=True),
            st.text("0123456789.-+ ", max_size=9),
        )
    )
    def compare(text):
        fits = (
            pattern.search(text) is not None
            and not text.endswith("\n")
            and rule.get("minLength", 0) <= len(text) <= rule.get("maxLength", 99)
        )
        taken = not errors_of({name: text})
        if taken and name == "phone" and not fits:
            assert parse_phone(text)
        elif name != "note" or not text.endswith("\n"):
            assert taken == fits, repr(text)

    compare()


def test_a_decimal_comes_out_as_one():
    form = Order(data={"amount": "12.50"})
    assert form.is_valid()
    assert form.validated_data["amount"] == Decimal("12.50")
