"""Paths of files, relative to the API: `path("", include("ntc_core.storage.urls"))`."""

from __future__ import annotations

from django.urls import path

from ntc_core.storage.local_views import LocalFileView
from ntc_core.storage.views import CompleteView, UploadListView, UploadView

__all__ = ["urlpatterns"]

urlpatterns = [
    path("uploads/", UploadListView.as_view(), name="uploads"),
    path("uploads/<uuid:uid>/", UploadView.as_view(), name="upload"),
    path("uploads/<uuid:uid>/complete/", CompleteView.as_view(), name="upload-complete"),
    path("uploads/local/<path:key>", LocalFileView.as_view(), name="upload-local-file"),
]
