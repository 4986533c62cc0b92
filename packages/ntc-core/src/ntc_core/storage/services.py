"""Announce a file, look at it when it has come, use it, let it go.

Nothing here holds a transaction open while a storage is asked. What is in a storage always has a
row that names it, whenever a process dies: rows come before objects and go after them.
"""

from __future__ import annotations

import logging
import tempfile
from contextlib import suppress
from datetime import timedelta
from typing import IO, Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from ntc_core.errors import InvalidInput, NotFound
from ntc_core.failpoints import failpoint
from ntc_core.outbox import enqueue
from ntc_core.storage.conf import DEFAULT_PURPOSE, file_settings
from ntc_core.storage.errors import (
    ObjectChanged,
    StorageUnavailable,
    UploadIncomplete,
    UploadRefused,
)
from ntc_core.storage.file_types import HEAD_BYTES, clean_filename, extension_of, sniff
from ntc_core.storage.models import Upload, new_key
from ntc_core.storage.providers.base import Progress, StoredObject, UploadRequest
from ntc_core.storage.registry import PROVIDERS, default_provider_name
from ntc_core.storage.selectors import find_purpose, get_upload

__all__ = [
    "attach_upload",
    "complete_upload",
    "create_upload",
    "discard_upload",
    "discard_uploads_of",
    "end_uploads",
    "open_upload",
    "remove_objects",
    "store_file",
]

log = logging.getLogger(__name__)

REMOVE_JOB = "ntc_storage.remove_objects"
#: A file up to this size is kept in memory while it is read.
SPOOL_BYTES = 1024 * 1024


def create_upload(
    *, owner: Any, filename: str, content_type: str, size: int, purpose: str = DEFAULT_PURPOSE
) -> tuple[Upload, UploadRequest]:
    """Note what a client wants to send, and say how.

    Raises:
        InvalidInput: the purpose is unknown, or does not take this type or so many bytes.
        StorageUnavailable: the project keeps no files.
    """
    _require_allowed(purpose=purpose, content_type=content_type, size=size)
    provider = default_provider_name()
    expires_at = timezone.now() + timedelta(seconds=file_settings.STORAGE_UPLOAD_SECONDS)
    upload = Upload.objects.create(
        owner=owner,
        purpose=purpose,
        filename=clean_filename(filename, content_type=content_type),
        content_type=content_type,
        size=size,
        provider=provider,
        key=new_key(extension_of(content_type)),
        expires_at=expires_at,
    )
    request = PROVIDERS.get(provider).sign_upload(
        key=upload.incoming_key, content_type=content_type, size=size, expires_at=expires_at
    )
    return upload, request


def complete_upload(*, owner: Any, uid: UUID) -> Upload:
    """Look at what has come, and keep it where nobody can replace it. Again is the same.

    Raises:
        NotFound: no such upload of this user.
        UploadIncomplete: nothing has come yet.
        UploadRefused: not the size or the type that was announced; it is removed.
        StorageUnavailable: the place does not answer; nothing is decided.
    """
    upload = get_upload(owner=owner, uid=uid)
    if upload.state == Upload.State.PENDING:
        _look_and_keep(upload)
        # Another call may have been faster: what it decided is the answer.
        upload = get_upload(owner=owner, uid=uid)
    if upload.state == Upload.State.REFUSED:
        raise UploadRefused(upload.refusal, code=upload.refusal_code)
    return upload


def attach_upload(
    *, owner: Any, uid: UUID, purpose: str = DEFAULT_PURPOSE, attr: str = "upload"
) -> Upload:
    """Use a completed upload for something, once, in the caller's transaction.

    Until `discard_upload()` it stays. An upload that nobody attaches is removed.

    Raises:
        InvalidInput: no such upload of this user, another purpose, not completed, or used
            already; `attr` names the field.
    """
    mine = Upload.objects.filter(owner=owner, uid=uid, purpose=purpose)
    stored = mine.filter(state=Upload.State.STORED)
    if stored.update(state=Upload.State.ATTACHED, updated_at=timezone.now()):
        return mine.get()
    state = mine.values_list("state", flat=True).first()
    if state == Upload.State.PENDING:
        raise InvalidInput(
            "This upload is not complete: send the file, then complete the upload.",
            code="upload_incomplete",
            attr=attr,
        )
    if state == Upload.State.ATTACHED:
        raise InvalidInput(
            "This upload is used already. Begin a new one.", code="upload_used", attr=attr
        )
    raise InvalidInput(
        f"There is no such upload of yours for the purpose {purpose!r}.",
        code="upload_unknown",
        attr=attr,
    )


def discard_upload(upload: Upload) -> None:
    """Let a file go, in the caller's transaction; a job removes it after the commit."""
    _discard(Upload.objects.filter(pk=upload.pk))


def discard_uploads_of(sender: type[Any], instance: Any, **_: Any) -> None:  # noqa: ARG001 - a signal's receiver
    """Let the files of a user go who is about to be deleted (signal receiver)."""
    _discard(Upload.objects.filter(owner=instance.pk))


def store_file(
    *,
    file: IO[bytes],
    filename: str,
    content_type: str,
    purpose: str = DEFAULT_PURPOSE,
    owner: Any = None,
    progress: Progress | None = None,
) -> Upload:
    """Keep a file that this service has made or fetched, of whatever type and size.

    It takes as long as the transfer takes: call it in a job, and outside of a transaction. The
    upload is `stored`: attach it to something, or it is removed.

    Args:
        file: open in binary mode; what is left of it is read.
        progress: called with the bytes that are through, so far; perhaps from other threads.

    Raises:
        StorageUnavailable: the place does not take it.
    """
    provider = default_provider_name()
    upload = Upload.objects.create(
        owner=owner,
        purpose=purpose,
        filename=clean_filename(filename, content_type=content_type),
        content_type=content_type,
        size=0,
        provider=provider,
        key=new_key(extension_of(content_type, filename)),
        expires_at=timezone.now(),
    )
    place = PROVIDERS.get(provider)
    place.write(upload.file_key, file, content_type=content_type, progress=progress)
    failpoint("storage.written")
    found = place.inspect(upload.file_key, head_bytes=1)
    if found is None:
        raise UploadIncomplete("The storage does not have what it took.")
    _mark_stored(upload, size=found.size, etag=found.etag)
    upload.refresh_from_db()
    return upload


def open_upload(upload: Upload, *, progress: Progress | None = None) -> IO[bytes]:
    """Return a file with the content, at its beginning; close it. For jobs, as `store_file()`.

    Raises:
        NotFound: there is nothing to read.
        StorageUnavailable: the place does not give it.
    """
    if not upload.is_readable:
        raise NotFound("This upload has no file.")
    # For the caller to close.
    content: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115
    try:
        PROVIDERS.get(upload.provider).read(upload.file_key, content, progress=progress)
    except FileNotFoundError:
        content.close()
        raise NotFound("This upload has no file.") from None
    except BaseException:
        content.close()
        raise
    content.seek(0)
    return content


def end_uploads(rows: QuerySet[Upload]) -> int:
    """Let these go if they are still what the query says; return how many."""
    with transaction.atomic():
        return _discard(rows)


def remove_objects(upload: Upload) -> None:
    """Remove whatever is in the storage for this row."""
    place = PROVIDERS.get(upload.provider)
    place.delete(upload.incoming_key)
    place.delete(upload.file_key)


def _require_allowed(*, purpose: str, content_type: str, size: int) -> None:
    allowed = find_purpose(purpose)
    if allowed is None:
        known = ", ".join(file_settings.STORAGE_PURPOSES)
        raise InvalidInput(f"Expected one of: {known}.", attr="purpose")
    if content_type not in allowed["types"]:
        raise InvalidInput(f"Expected one of: {', '.join(allowed['types'])}.", attr="content_type")
    if not 1 <= size <= allowed["max_bytes"]:
        raise InvalidInput(f"Expected 1 to {allowed['max_bytes']} bytes.", attr="size")


def _look_and_keep(upload: Upload) -> None:
    place = PROVIDERS.get(upload.provider)
    found = place.inspect(upload.incoming_key, head_bytes=HEAD_BYTES)
    pending = Upload.objects.filter(pk=upload.pk, state=Upload.State.PENDING)
    if found is None:
        if pending.exists():
            raise UploadIncomplete
        return
    refusal = _find_refusal(upload, found)
    if refusal:
        _refuse(upload, refusal)
        return
    # From here on these bytes are meant, whoever completes it and how often: a copy that is
    # made twice, or after a kill, is a copy of the same.
    pending.filter(etag="").update(etag=found.etag)
    failpoint("storage.looked")
    if not pending.filter(etag=found.etag).exists():
        # Done by another call; or others have come since somebody looked.
        if pending.exists():
            _refuse(upload, _CHANGED)
        return
    try:
        etag = place.copy(
            source=upload.incoming_key,
            target=upload.file_key,
            etag=found.etag,
            content_type=upload.content_type,
        )
    except ObjectChanged:
        _refuse(upload, _CHANGED)
        return
    failpoint("storage.copied")
    # If it was let go meanwhile, the copy goes with its row (`tasks.tidy`).
    _mark_stored(upload, size=found.size, etag=etag)


_CHANGED = ("upload_changed", "The file was replaced while it was looked at. Begin a new upload.")


def _find_refusal(upload: Upload, found: StoredObject) -> tuple[str, str] | None:
    """Return code and sentence if this is not what was announced."""
    if found.size != upload.size:
        return "size_wrong", f"The file has {found.size} bytes; {upload.size} were announced."
    seen = sniff(found.head)
    if seen != upload.content_type:
        what = f"is {seen}" if seen else "is of a type that is not known here"
        return "type_wrong", f"The file {what}; {upload.content_type} was announced."
    return None


def _refuse(upload: Upload, refusal: tuple[str, str]) -> None:
    """Decide it, and remove the bytes at once; a job does where the place does not answer."""
    code, sentence = refusal
    pending = Upload.objects.filter(pk=upload.pk, state=Upload.State.PENDING)
    with transaction.atomic():
        if not pending.update(
            state=Upload.State.REFUSED,
            refusal_code=code,
            refusal=sentence,
            updated_at=timezone.now(),
        ):
            return
        enqueue(REMOVE_JOB, upload.pk)
    log.info("storage.refused", extra={"upload": str(upload.uid), "code": code})
    failpoint("storage.refused")
    with suppress(StorageUnavailable):
        PROVIDERS.get(upload.provider).delete(upload.incoming_key)


def _mark_stored(upload: Upload, *, size: int, etag: str) -> None:
    now = timezone.now()
    stored = Upload.objects.filter(pk=upload.pk, state=Upload.State.PENDING).update(
        state=Upload.State.STORED, size=size, etag=etag, stored_at=now, updated_at=now
    )
    if stored:
        log.info("storage.stored", extra={"upload": str(upload.uid), "bytes": size})


def _discard(rows: QuerySet[Upload]) -> int:
    open_states = [Upload.State.PENDING, Upload.State.STORED, Upload.State.ATTACHED]
    rows = rows.filter(state__in=open_states)
    discarded = 0
    for pk in rows.values_list("pk", flat=True):
        # In one statement with the question: it may have been attached meanwhile.
        if rows.filter(pk=pk).update(state=Upload.State.DELETED, updated_at=timezone.now()):
            enqueue(REMOVE_JOB, pk)
            discarded += 1
    return discarded
