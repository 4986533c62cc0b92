"""The sign-in endpoints where a project has them, and one closed view."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.utils import extend_schema
from ntc_core.auth.permissions import RecentSignIn
from ntc_core.response_wrapper import success_response
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

handler500 = "ntc_core.exceptions.handler500"


class WhoView(APIView):
    """Closed by the default permission."""

    @extend_schema(responses={200: None})
    def get(self, request: Request) -> Response:
        """Tell who asks."""
        return success_response({"identifier": request.user.get_username()})

    @extend_schema(request=None, responses={200: None})
    def post(self, request: Request) -> Response:
        """Change something, as far as CSRF is concerned."""
        return success_response({"identifier": request.user.get_username()})


class OpenView(APIView):
    """For everybody, signed in or not."""

    permission_classes = (AllowAny,)

    @extend_schema(responses={200: None})
    def get(self, request: Request) -> Response:
        """Say something."""
        return success_response()


class PayoutView(APIView):
    """Not for a session that was stolen last week."""

    permission_classes = (RecentSignIn,)

    @extend_schema(request=None, responses={200: None})
    def post(self, request: Request) -> Response:
        """Pretend to send money."""
        return success_response()


urlpatterns = [
    path("admin/", admin.site.urls),
    path(".well-known/", include("ntc_core.auth.jwks_urls")),
    path("api/v1/auth/", include("ntc_core.auth.urls")),
    path("api/v1/who/", WhoView.as_view()),
    path("api/v1/open/", OpenView.as_view()),
    path("api/v1/payout/", PayoutView.as_view()),
]
