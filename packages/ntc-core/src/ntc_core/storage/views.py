"""The endpoints of files."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.decorators import method_decorator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ntc_core.rate_limits import Limit
from ntc_core.response_wrapper import success_response
from ntc_core.schema import documented_errors
from ntc_core.storage import services
from ntc_core.storage.selectors import get_upload
from ntc_core.storage.serializers import NewUploadOutput, UploadInput, UploadOutput
from ntc_core.throttling import ScopedRateThrottle, limit_of

__all__ = ["CompleteView", "UploadListView", "UploadView"]


class NewUploadThrottle(ScopedRateThrottle):
    """Limit also how much one user can bring in a day: what is not used takes space for one."""

    def limits_of(self, request: Request, view: APIView) -> list[Limit | None]:
        """Return the limit of the minute and that of the day."""
        day = limit_of("uploads_day", who=self.ident_of(request))
        return [*super().limits_of(request, view), day]


class UploadListView(APIView):
    throttle_classes = (NewUploadThrottle,)
    throttle_scope = "uploads"

    @extend_schema(request=UploadInput, responses={201: NewUploadOutput}, tags=["uploads"])
    @documented_errors(503)
    def post(self, request: Request) -> Response:
        """Announce a file. Send it as `data.send` says, then complete the upload.

        The bytes go to the storage itself. The address takes one file, and ends soon.
        """
        form = UploadInput(data=request.data)
        form.is_valid(raise_exception=True)
        upload, how = services.create_upload(owner=request.user, **form.validated_data)
        output: Any = NewUploadOutput(_with_request(upload, how)).data
        return success_response(
            output, "Send the file, then complete the upload.", status=HTTPStatus.CREATED
        )


class UploadView(APIView):
    @extend_schema(responses=UploadOutput, tags=["uploads"])
    def get(self, request: Request, uid: UUID) -> Response:
        """Show one of the caller's uploads, with an address to read it."""
        upload = get_upload(owner=request.user, uid=uid)
        return success_response(UploadOutput(upload).data)


# No transaction may be open while the storage is asked.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class CompleteView(APIView):
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "uploads"

    @extend_schema(request=None, responses=UploadOutput, tags=["uploads"])
    @documented_errors(409, 422, 503)
    def post(self, request: Request, uid: UUID) -> Response:
        """Have the file looked at, and kept. Called again, the answer is the same.

        409: it has not arrived. 422: not the size or type that was announced; it is removed.
        What is not used for anything within a day is removed.
        """
        upload = services.complete_upload(owner=request.user, uid=uid)
        return success_response(UploadOutput(upload).data, "The file is stored.")


def _with_request(upload: Any, how: Any) -> Any:
    upload.send = how
    return upload
