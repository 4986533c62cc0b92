"""Jobs that remove what nobody uses."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from ntc_core.outbox import job
from ntc_core.storage import services
from ntc_core.storage.conf import file_settings
from ntc_core.storage.models import Upload
from ntc_core.storage.registry import PROVIDERS

__all__ = ["remove_objects", "tidy"]

log = logging.getLogger(__name__)

#: One run has to end within its lease; there is another one soon.
BATCH = 500
TEN_MINUTES = 10 * 60


@job(services.REMOVE_JOB, atomic=False, queue="companies")
def remove_objects(upload_id: int) -> None:
    """Remove the objects of an upload that was refused or let go."""
    over = Upload.objects.filter(state__in=[Upload.State.REFUSED, Upload.State.DELETED])
    upload = over.filter(pk=upload_id).first()
    if upload is not None:
        services.remove_objects(upload)


@job(
    "ntc_storage.tidy",
    every_seconds=TEN_MINUTES,
    atomic=False,
    lease_seconds=TEN_MINUTES,
    queue="companies",
)
def tidy() -> None:
    """Let go of what was never completed or attached, and forget what is gone.

    A row goes last, and only when every address of it is long over: a client may have begun to
    send just before the end, and a call may have copied just after the row was let go.
    """
    long_ago = timezone.now() - timedelta(hours=file_settings.STORAGE_ORPHAN_HOURS)
    uploads = Upload.objects.filter(provider__in=PROVIDERS.names()).order_by("pk")
    unused = uploads.filter(
        state__in=[Upload.State.PENDING, Upload.State.STORED], updated_at__lt=long_ago
    )
    first = list(unused.values_list("pk", flat=True)[:BATCH])
    orphans = services.end_uploads(unused.filter(pk__in=first))
    over = uploads.filter(
        state__in=[Upload.State.REFUSED, Upload.State.DELETED], updated_at__lt=long_ago
    )
    forgotten = 0
    for upload in over[:BATCH]:
        services.remove_objects(upload)
        upload.delete()
        forgotten += 1
    # While it lasts, the first object is what keeps the address from taking another one.
    arrived = uploads.filter(is_incoming_cleared=False, created_at__lt=long_ago)
    for upload in arrived.filter(state__in=[Upload.State.STORED, Upload.State.ATTACHED])[:BATCH]:
        PROVIDERS.get(upload.provider).delete(upload.incoming_key)
        # Not `updated_at`: the state is as old as it was.
        Upload.objects.filter(pk=upload.pk).update(is_incoming_cleared=True)
    log.info("storage.tidied", extra={"orphans": orphans, "forgotten": forgotten})
