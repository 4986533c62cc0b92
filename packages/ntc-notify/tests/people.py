"""People, calls and questions that many tests need."""

from __future__ import annotations

import itertools
import json
from types import SimpleNamespace
from typing import Any

from django.test import Client
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward, run_due_jobs
from ntc_notify.models import DeliveryAttempt, Message, Notification
from ntc_notify.services import send
from ntc_notify.types import Recipient

EMAIL, PHONE = "asha.mushi@example.com", "+255712345678"
FACTS = {"name": "Asha", "amount": "TZS 5,000", "reference": "R-1"}
ASHA = Recipient(email=EMAIL, phone_e164=PHONE)
ASHA_BY_SMS = Recipient(phone_e164=PHONE)
ASHA_BY_EMAIL = Recipient(email=EMAIL)

_keys = itertools.count(1)


def person(**attributes: Any) -> SimpleNamespace:
    """Return something that looks like a user of another project."""
    return SimpleNamespace(**attributes)


def send_receipt(to: Any = ASHA, **arguments: Any) -> Notification:
    values = {"kind": "receipt", "to": to, "context": FACTS, "dedupe_key": f"k{next(_keys)}"}
    return send(**values | arguments)


def send_receipt_by_sms(**arguments: Any) -> Message:
    return send_receipt(ASHA_BY_SMS, **arguments).messages.get()


def send_code_by_sms(**arguments: Any) -> Message:
    context = {"challenge_uid": "c1", "minutes": 10}
    return send_receipt(
        ASHA_BY_SMS, kind="verification_code", context=context, **arguments
    ).messages.get()


def send_news(to: Any = ASHA_BY_EMAIL, *, title: str = "Bei mpya", **arguments: Any) -> Message:
    return send_receipt(to, kind="news", context={"title": title}, **arguments).messages.get()


def send_alert(to: Any = ASHA_BY_SMS, **arguments: Any) -> Message:
    return send_receipt(to, kind="alert", context={"text": "Mvua"}, **arguments).messages.first()


def count_rows() -> tuple[int, ...]:
    models = (Notification, Message, DeliveryAttempt, OutboxJob)
    return tuple(model.objects.count() for model in models)


def run_now(times: int = 1) -> None:
    """Run what is due, and what is only waiting for its time, so many times over."""
    for _ in range(times):
        bring_forward(OutboxJob.objects.all())
        run_due_jobs()


def state_of(message: Message) -> str:
    return Message.objects.get(pk=message.pk).state


def outcomes(message: Message) -> list[tuple[str, str]]:
    return list(message.attempts.values_list("provider", "outcome"))


def deliver_receipt(company: str, *facts: dict[str, Any], key: str = "right", **extra: str) -> int:
    """Post what a scripted company tells; return the status."""
    response = Client().post(
        f"/api/v1/webhooks/notify/{company}/",
        json.dumps(list(facts)),
        "application/json",
        headers={"X-Key": key, **extra},
    )
    return int(response.status_code)
