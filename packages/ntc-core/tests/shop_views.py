"""Views of a small project: what its authors would write, good and bad."""

from __future__ import annotations

import datetime as dt
import ipaddress
import uuid
from decimal import Decimal

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import connection
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    HttpResponseNotAllowed,
    StreamingHttpResponse,
)
from django.utils.translation import gettext_lazy
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from ntc_core import errors
from ntc_core.pagination import StandardCursorPagination, StandardLimitOffsetPagination
from ntc_core.response_wrapper import error_response, success_response
from ntc_core.schema import documented_errors
from ntc_core.throttling import AddressRateThrottle, ScopedRateThrottle
from rest_framework import exceptions as drf
from rest_framework import generics, serializers, viewsets
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny, IsAdminUser
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView

from tests.models import Shop

SECRET = "database password hunter2"


class ShopSerializer(serializers.ModelSerializer):
    class Meta:
        model = Shop
        fields = ["uid", "name", "phone_e164", "created_at"]
        read_only_fields = ["uid", "created_at"]


class ItemSerializer(serializers.Serializer):
    phone = serializers.RegexField(r"^\+255\d{9}$")
    count = serializers.IntegerField(min_value=1)

    def validate(self, attrs):
        if attrs["count"] == 13:
            raise serializers.ValidationError("Thirteen is not for sale.", code="unlucky")
        return attrs


class OrderSerializer(serializers.Serializer):
    note = serializers.CharField(required=False, allow_null=True)
    items = ItemSerializer(many=True)

    def validate(self, attrs):
        if attrs.get("note") == "closed":
            raise serializers.ValidationError("The shop is closed.", code="closed")
        return attrs


class HelloOutput(serializers.Serializer):
    hello = serializers.CharField()


class HelloView(APIView):
    """Answers with the function."""

    permission_classes = [AllowAny]

    @extend_schema(responses=HelloOutput)
    def get(self, request):
        return success_response({"hello": "world"})

    @extend_schema(request=None, responses={202: None})
    def post(self, request):
        return success_response(message="On its way.", status=202)


class ShopViewSet(viewsets.ModelViewSet):
    """A viewset that knows nothing of the envelope."""

    permission_classes = [AllowAny]
    serializer_class = ShopSerializer
    queryset = Shop.objects.order_by("id")
    lookup_field = "uid"
    lookup_value_converter = "uuid"


class ShopsByOffsetView(generics.ListAPIView):
    permission_classes = [AllowAny]
    serializer_class = ShopSerializer
    queryset = Shop.objects.order_by("id")
    pagination_class = StandardLimitOffsetPagination


class ShopsByCursorView(ShopsByOffsetView):
    queryset = Shop.objects.all()
    pagination_class = StandardCursorPagination


class ShopsByIdCursorView(ShopsByCursorView):
    class IdCursorPagination(StandardCursorPagination):
        ordering = "-id"

    pagination_class = IdCursorPagination


class AllShopsView(ShopsByOffsetView):
    pagination_class = None


class OrderView(generics.CreateAPIView):
    """Validates nested input, or a list of it."""

    permission_classes = [AllowAny]
    serializer_class = OrderSerializer

    def get_serializer(self, *args, **kwargs):
        if isinstance(kwargs.get("data"), list):
            kwargs["many"] = True
        return super().get_serializer(*args, **kwargs)

    def perform_create(self, serializer):
        """Keep nothing."""


class OrderByFunctionView(APIView):
    """Passes `serializer.errors` on by hand, in the ways people do."""

    permission_classes = [AllowAny]

    @extend_schema(exclude=True)
    def post(self, request, way):
        form = OrderSerializer(data=request.data)
        if form.is_valid():
            return success_response(form.data, status=201)
        return {
            "as-errors": lambda: error_response("Look again.", errors=form.errors),
            "as-message": lambda: error_response(form.errors),
            "raw": lambda: Response(form.errors, status=400),
            "raw-detail": lambda: Response({"detail": "Gone fishing."}, status=409),
            "raw-nothing": lambda: Response(status=404),
            "plain": lambda: error_response("No more shops.", 409),
            "not-an-error": lambda: error_response("All is well.", 200),
        }[way]()


class SecretView(APIView):
    """Needs sign-in because nobody said otherwise."""

    @extend_schema(responses=HelloOutput)
    def get(self, request):
        return success_response({"hello": str(request.user.pk)})


class StaffView(APIView):
    permission_classes = [IsAdminUser]

    @documented_errors(409)
    @extend_schema(responses=HelloOutput)
    def get(self, request):
        return success_response({"hello": "staff"})


class EchoView(APIView):
    """Gives back the body it got."""

    permission_classes = [AllowAny]

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request):
        return Response(request.data)


class OddTypesView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request):
        return Response(ODD_TYPES)


ODD_TYPES = {
    "decimal": Decimal("15000.00"),
    "uuid": uuid.UUID(int=7),
    "lazy": gettext_lazy("Yes"),
    "moment": dt.datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=dt.UTC),
    "date": dt.date(2026, 1, 2),
    "time": dt.time(3, 4),
    "duration": dt.timedelta(minutes=1),
    "set": {1},
    "tuple": (1, 2),
    "range": range(2),
    "bytes": b"abc",
    "address": ipaddress.ip_address("127.0.0.1"),
    "nan": float("nan"),
    "infinity": [float("inf"), float("-inf")],
    7: "number as key",
}


class FileView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.BINARY})
    def get(self, request, kind):
        if kind == "stream":
            return StreamingHttpResponse([b"a,", b"b"], content_type="text/csv")
        return FileResponse([b"a,b"], content_type="text/csv", as_attachment=True)


class RawView(APIView):
    """Says by its renderer that it wants no envelope."""

    permission_classes = [AllowAny]
    renderer_classes = [JSONRenderer]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request):
        if "fail" in request.query_params:
            raise errors.Conflict
        return Response({"keys": []})


class EmptyView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(responses={204: None})
    def get(self, request):
        return Response({"ignored": True}, status=204)


class ThrottledView(APIView):
    permission_classes = [AllowAny]
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "sms"

    @extend_schema(responses=HelloOutput)
    def get(self, request):
        return success_response({"hello": "sms"})


class UnscopedThrottledView(ThrottledView):
    throttle_scope = ""


class AddressThrottledView(ThrottledView):
    throttle_classes = [AddressRateThrottle]


class ClosedShop(errors.Conflict):
    code = "shop_closed"
    message = "The shop is closed. Come back tomorrow."


def _protected():
    shop = Shop.objects.create(name="Kariakoo")
    shop.branches.create()
    shop.delete()


def _duplicate():
    Shop.objects.create(name="A", phone_e164="+255712345678")
    Shop.objects.create(name="B", phone_e164="+255712345678")


def _query(sql):
    def run():
        with connection.cursor() as cursor:
            cursor.execute(sql)

    return run


def ask_first(get_response):
    """Be a middleware that needs the database, and loses it."""

    def middleware(request):
        _query("SELECT pg_terminate_backend(pg_backend_pid())")()
        return get_response(request)

    return middleware


def _raise(exception):
    def do():
        raise exception

    return do


RAISES = {
    "conflict": _raise(ClosedShop()),
    "invalid": _raise(errors.InvalidInput("Too short.", code="too_short", attr="items.0.name")),
    "unauthenticated": _raise(errors.NotAuthenticated()),
    "rate-limited": _raise(errors.RateLimited(retry_after_seconds=17)),
    "throttled": _raise(drf.Throttled(wait=2.5)),
    "unavailable": _raise(errors.Unavailable()),
    "http404": _raise(Http404("No Shop matches the given query.")),
    "denied": _raise(PermissionDenied("Only on Mondays.")),
    "drf-denied": _raise(drf.PermissionDenied()),
    "django-validation": _raise(
        DjangoValidationError({"phone": ["Bad."], "__all__": ["Worse."]}, code="bad")
    ),
    "django-validation-text": _raise(
        DjangoValidationError("Just %(word)s.", params={"word": "no"})
    ),
    "simplejwt": _raise(
        drf.AuthenticationFailed(
            {
                "detail": "Given token not valid",
                "code": "token_not_valid",
                "messages": [{"token_class": "AccessToken", "message": "Token is expired"}],
            }
        )
    ),
    "detail-field": _raise(drf.ValidationError({"detail": "Say more."})),
    "empty": _raise(drf.ValidationError({})),
    "old-list": _raise(drf.ValidationError({"items": [{}, {"phone": ["Bad."]}, {}]})),
    "teapot": _raise(drf.APIException("Short and stout.", code="teapot")),
    "bad-request": _raise(BadRequest(SECRET)),
    "suspicious": _raise(SuspiciousOperation(SECRET)),
    "protected": _protected,
    "duplicate": _duplicate,
    "overdue": _query("BEGIN; SET LOCAL statement_timeout = 50; SELECT pg_sleep(20); COMMIT"),
    "hung-up": _query("SELECT pg_terminate_backend(pg_backend_pid())"),
    "no-table": _query("SELECT * FROM nobody_made_this"),
    "bug": _raise(RuntimeError(SECRET)),
}


class RaiseView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(exclude=True)
    def get(self, request, kind):
        RAISES[kind]()


class HalfDoneView(APIView):
    """Writes, then refuses."""

    permission_classes = [AllowAny]

    @extend_schema(exclude=True)
    def post(self, request):
        Shop.objects.create(name="half-done")
        raise ClosedShop


@extend_schema(responses=OpenApiResponse(HelloOutput))
@api_view(["GET"])
@permission_classes([AllowAny])
def hello_function(request):
    """Answer from a function view."""
    return Response({"hello": "function"})


async def hello_async(request):
    """Answer from a plain asynchronous view, or fail in it."""
    if "fail" in request.GET:
        raise RuntimeError(SECRET)
    if "closed" in request.GET:
        raise ClosedShop
    return HttpResponse("hello", content_type="text/plain")


def plain_view(request, kind):
    """A Django view outside REST framework."""
    if kind == "post-only":
        response = HttpResponseNotAllowed(["POST"])
        response.set_cookie("seen", "1")
        return response
    if kind == "denied":
        raise PermissionDenied
    if kind == "closed":
        raise ClosedShop
    if kind == "sign-in":
        raise errors.NotAuthenticated
    if kind == "slow-down":
        raise errors.RateLimited(retry_after_seconds=9)
    if kind == "form":
        return HttpResponse(request.POST.get("name", ""))
    raise RuntimeError(SECRET)
