"""Views of a small project: what its authors would write, good and bad."""

from __future__ import annotations

from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from ntc_core.response_wrapper import success_response


class HelloView(APIView):
    """Answer with the function."""

    permission_classes = [AllowAny]

    def get(self, request):
        """Say hello."""
        return success_response({"hello": "world"})


urlpatterns = [path("hello/", HelloView.as_view())]
