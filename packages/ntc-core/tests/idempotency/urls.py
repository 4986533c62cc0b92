"""A shop where the same order may be placed twice by mistake."""

from __future__ import annotations

import time
from typing import Any

from django.urls import path
from ntc_core.errors import Unprocessable
from ntc_core.failpoints import failpoint
from ntc_core.idempotency.views import IdempotencyMixin
from ntc_core.response_wrapper import error_response, success_response
from rest_framework import serializers, viewsets
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.models import Shop
from tests.shop_views import ShopSerializer


class PlaceInput(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=40)
    seconds = serializers.FloatField(default=0)


class PlaceView(IdempotencyMixin, APIView):
    """Make a shop, slowly if asked to, and fail in every way there is."""

    permission_classes = [AllowAny]

    def post(self, request):
        form = PlaceInput(data=request.data)
        form.is_valid(raise_exception=True)
        name = form.validated_data["name"]
        shop = Shop.objects.create(name=name)
        failpoint("place.written")
        time.sleep(form.validated_data["seconds"])
        match name:
            case "raises":
                raise Unprocessable("Not for sale.")
            case "returns":
                return error_response("Not for sale.", 409)
            case "breaks":
                raise RuntimeError("broken on purpose")
            case "twice":
                Shop.objects.create(id=shop.pk, name=name)
        answer = success_response(
            {"z": 1, "uid": shop.uid, "at": shop.created_at, "a": 2}, "Made.", 201
        )
        answer["Location"] = f"/shops/{shop.uid}/"
        return answer


class StrictView(PlaceView):
    idempotency_key_required = True


class ShopViewSet(IdempotencyMixin, viewsets.ModelViewSet):
    """An ordinary viewset."""

    permission_classes = [AllowAny]
    serializer_class = ShopSerializer
    queryset = Shop.objects.order_by("pk")
    lookup_field = "uid"


class PlainView(APIView):
    """Answers without the functions of the envelope."""

    permission_classes = [AllowAny]

    def post(self, request):
        return Response({"name": "x"}, status=201)


class OnceView(IdempotencyMixin, PlainView):
    """The same, once."""


shops = {"get": "list", "post": "create"}
urlpatterns = [
    path("api/v1/place/", PlaceView.as_view()),
    path("api/v1/strict/", StrictView.as_view()),
    path("api/v1/once/", OnceView.as_view()),
    path("api/v1/shops/", ShopViewSet.as_view(shops)),
]
handler500 = "ntc_core.exceptions.handler500"
