"""Take an event in, say what became of it, do it again."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from ntc_core.conf import core_settings
from ntc_core.errors import Conflict, NotFound
from ntc_core.masking import mask_text
from ntc_core.metrics import observe_after_commit
from ntc_core.models import new_uid
from ntc_core.outbox import enqueue
from ntc_core.outbox.models import OutboxJob
from ntc_core.request_id import get_request_id
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.types import VerifiedWebhook, WebhookRequest

__all__ = [
    "finish_event",
    "note_failed_job",
    "purge_bodies",
    "receive_event",
    "replay_event",
    "split_provider_slug",
]

log = logging.getLogger(__name__)

JOB_KEY_PREFIX = "webhook:"
LONGEST_DEDUPE_KEY = 255
LONGEST_EVENT_TYPE = 255
LONGEST_HEADER = 256
LONGEST_ERROR = 1000

# Listed are the headers that we keep, because a company may invent a name for the one
# that carries its secret, but hardly one of these shapes.
_SAFE_HEADERS = frozenset({"content-type", "content-length", "user-agent", "date"})
_SAFE_HEADER_ENDINGS = ("-id", "-type", "-event", "-timestamp", "-version")
_END_STATES = frozenset({WebhookEvent.State.PROCESSED, WebhookEvent.State.IGNORED})


def split_provider_slug(slug: str) -> tuple[str, str]:
    """Return `(name, suffix)` of the path part `name` or `name-suffix`.

    A company that does not sign is told the path with NTC_WEBHOOK_PATH_SECRET as suffix.
    A suffix that comes back from here is the right one; whether the provider needs one is
    the caller's to decide.

    Raises:
        NotFound: there is a suffix and it is not the secret.
    """
    name, separator, suffix = slug.partition("-")
    if not separator:
        return name, ""
    secret = core_settings.WEBHOOK_PATH_SECRET
    if not secret or not hmac.compare_digest(suffix.encode(), secret.encode()):
        raise NotFound
    return name, suffix


def receive_event(
    *, channel: str, provider: str, job: str, request: WebhookRequest, verified: VerifiedWebhook
) -> tuple[WebhookEvent, bool]:
    """Store a verified event and enqueue its job, both or neither, once per dedupe key.

    Returns:
        The event and whether it is new. A repeated delivery finds the first one's row.

    Raises:
        ValueError: the provider gave no dedupe key.
    """
    dedupe_key = _storable_key(verified.dedupe_key)
    event = WebhookEvent(
        channel=channel,
        provider=provider,
        dedupe_key=dedupe_key,
        event_type=verified.event_type.replace("\x00", "")[:LONGEST_EVENT_TYPE],
        job=job,
        headers=_safe_headers(request.headers),
        body=request.body,
        request_id=get_request_id(),
    )
    with transaction.atomic():
        # ON CONFLICT DO NOTHING: of parallel deliveries one inserts, the others wait and see.
        WebhookEvent.objects.bulk_create([event], ignore_conflicts=True)
        stored = WebhookEvent.objects.get(channel=channel, provider=provider, dedupe_key=dedupe_key)
        is_new = stored.uid == event.uid
        if is_new:
            enqueue(job, stored.pk, dedupe_key=f"{JOB_KEY_PREFIX}{stored.uid}")
    return stored, is_new


def finish_event(event: WebhookEvent, *, state: str, error: str = "") -> None:
    """Write what became of an event, in the transaction of its effect."""
    state = WebhookEvent.State(state)
    if state in _END_STATES and _is_first_end(event):
        lag = timezone.now() - event.created_at
        observe_after_commit(
            "ntc_webhook_lag_seconds",
            lag.total_seconds(),
            channel=event.channel,
            provider=event.provider,
        )
    WebhookEvent.objects.filter(pk=event.pk).update(
        state=state,
        attempts=F("attempts") + 1,
        last_error=mask_text(error, longest=LONGEST_ERROR),
        processed_at=Now() if state in _END_STATES else None,
        updated_at=Now(),
    )
    event.refresh_from_db(fields=["state", "attempts", "last_error", "processed_at", "updated_at"])


def replay_event(event: WebhookEvent) -> OutboxJob:
    """Run the event's job again, whatever became of it before.

    Raises:
        Conflict: its body was removed; nobody can say any more what it told.
    """
    key = f"{JOB_KEY_PREFIX}{new_uid()}"
    with transaction.atomic():
        # In one statement with the question, so that no purge comes in between.
        kept = WebhookEvent.objects.filter(pk=event.pk, body_purged_at=None).update(
            state=WebhookEvent.State.RECEIVED, processed_at=None, updated_at=Now()
        )
        if not kept:
            raise Conflict(
                f"The body of event {event.uid} was removed after its time; it cannot be replayed.",
                code="body_purged",
            )
        job = enqueue(event.job, event.pk, dedupe_key=key)
    log.info("webhook.replayed", extra={"event_uid": str(event.uid), "job_uid": str(job.uid)})
    return job


def purge_bodies(batch_size: int = 1000) -> int:
    """Remove one batch of bodies of events that were acted upon long ago; return its size.

    The rows stay, with their dedupe keys: a delivery that is repeated after years is still the
    same event. What still waits, or waits for a person, keeps its body.
    """
    days = core_settings.WEBHOOK_KEEP_BODY_DAYS
    if days is None:
        return 0
    kept = WebhookEvent.objects.filter(state__in=sorted(_END_STATES), body_purged_at=None)
    old = kept.filter(processed_at__lt=Now() - timedelta(days=days)).order_by("processed_at")
    ids = list(old.values_list("pk", flat=True)[:batch_size])
    # `kept` once more: an event that is being replayed has left it.
    return kept.filter(pk__in=ids).update(body=b"", body_purged_at=Now(), updated_at=Now())


def note_failed_job(*, job: OutboxJob, parked: bool, **_: object) -> None:
    """Let an event show that its job failed, or that it gave up (signal receiver)."""
    if not job.dedupe_key.startswith(JOB_KEY_PREFIX):
        return
    WebhookEvent.objects.filter(pk=job.arguments[0]).update(
        state=WebhookEvent.State.PARKED if parked else WebhookEvent.State.FAILED,
        attempts=F("attempts") + 1,
        last_error=job.last_error,
        updated_at=Now(),
    )


def _is_first_end(event: WebhookEvent) -> bool:
    """A replay starts over at "received", and says nothing about how fast we are."""
    return event.state != WebhookEvent.State.RECEIVED or event.attempts == 0


def _storable_key(dedupe_key: str) -> str:
    """Return the key, or its digest where it does not fit into the column."""
    if not dedupe_key:
        raise ValueError("A verified webhook needs a dedupe_key.")
    if len(dedupe_key) <= LONGEST_DEDUPE_KEY and "\x00" not in dedupe_key:
        return dedupe_key
    return f"sha256:{hashlib.sha256(dedupe_key.encode()).hexdigest()}"


def _safe_headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value[:LONGEST_HEADER].replace("\x00", "")
        for name, value in headers.items()
        if name in _SAFE_HEADERS or name.endswith(_SAFE_HEADER_ENDINGS)
    }
