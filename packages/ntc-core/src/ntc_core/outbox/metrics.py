"""How far behind the jobs are."""

from __future__ import annotations

from django.db.models import Min
from django.db.models.functions import Now

from ntc_core.metrics import collector, gauge
from ntc_core.outbox.clock import database_now
from ntc_core.outbox.jobs import QUEUES, queue_of
from ntc_core.outbox.models import OutboxJob

__all__ = ["tell_backlog"]


@collector
def tell_backlog() -> None:
    """Tell per queue how long the oldest due job has waited, and how many jobs are parked."""
    due = OutboxJob.objects.filter(state=OutboxJob.State.QUEUED, run_at__lte=Now())
    oldest = dict(due.order_by().values_list("task").annotate(Min("run_at")))
    now = database_now()
    for queue in QUEUES:
        since = [moment for task, moment in oldest.items() if queue_of(task) == queue]
        age = (now - min(since)).total_seconds() if since else 0
        gauge("ntc_outbox_oldest_due_seconds", age, queue=queue)
    parked = OutboxJob.objects.filter(state=OutboxJob.State.PARKED)
    gauge("ntc_outbox_parked", parked.count())
