"""Find uploads, and let people read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.http import content_disposition_header

from ntc_core.errors import NotFound
from ntc_core.storage.conf import file_settings
from ntc_core.storage.file_types import FILE_TYPES
from ntc_core.storage.models import Upload
from ntc_core.storage.registry import PROVIDERS

__all__ = ["ReadLink", "find_purpose", "get_upload", "make_read_link"]


@dataclass(frozen=True, kw_only=True)
class ReadLink:
    """A signed address that shows a file until it ends."""

    url: str = field(repr=False)
    expires_at: datetime


def get_upload(*, owner: Any, uid: UUID) -> Upload:
    """Return an upload of this user that is not deleted.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """
    mine = Upload.objects.filter(owner=owner, uid=uid).exclude(state=Upload.State.DELETED)
    upload = mine.first()
    if upload is None:
        raise NotFound("There is no such upload.")
    return upload


def find_purpose(name: str) -> Mapping[str, Any] | None:
    """Return what the project allows for this purpose; None: no such purpose."""
    return file_settings.STORAGE_PURPOSES.get(name)


def make_read_link(upload: Upload | None) -> ReadLink | None:
    """Return an address that shows the file for NTC_STORAGE_READ_SECONDS.

    Whether the caller may see it is the caller's to decide. None where there is nothing to show,
    or where the place that has it is not configured any more.
    """
    if upload is None or not upload.is_readable or upload.provider not in PROVIDERS.names():
        return None
    expires_at = timezone.now() + timedelta(seconds=file_settings.STORAGE_READ_SECONDS)
    known = FILE_TYPES.get(upload.content_type)
    is_inline = known is not None and known.is_inline
    url = PROVIDERS.get(upload.provider).sign_read(
        key=upload.file_key,
        content_type=upload.content_type,
        disposition=content_disposition_header(not is_inline, upload.filename) or "inline",
        expires_at=expires_at,
    )
    return ReadLink(url=url, expires_at=expires_at)
