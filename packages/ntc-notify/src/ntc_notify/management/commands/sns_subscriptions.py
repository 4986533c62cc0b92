"""Subscriptions that Amazon SNS has offered us, for a person to confirm.

    manage.py sns_subscriptions                  list those that were told to the inbox
    manage.py sns_subscriptions --confirm <uid>  say yes to one

An address in a message is never called by itself. Here a person does, and not the address but
SNS's own interface is.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from ntc_core.http import AnswerUnreadable, HttpFailure
from ntc_core.webhooks.models import WebhookEvent

from ntc_notify.providers.base import ConfirmsSubscriptions
from ntc_notify.registry import find_receipt_provider

__all__ = ["Command"]

_OFFER = "SubscriptionConfirmation"


class Command(BaseCommand):
    help = "List the SNS subscriptions that wait to be confirmed, or confirm one."

    def add_arguments(self, parser: CommandParser) -> None:
        """One option, because listing is harmless."""
        parser.add_argument("--confirm", metavar="UID", help="of the event that offers it")

    def handle(self, *, confirm: str | None, **_: Any) -> None:
        """Do what was asked for."""
        offers = WebhookEvent.objects.filter(channel="notify", event_type=_OFFER)
        if confirm is None:
            for offer in offers.order_by("id"):
                topic = _provider_of(offer).read_offered_topic(bytes(offer.body))
                self.stdout.write(f"{offer.uid}  {offer.created_at:%Y-%m-%d %H:%M}  {topic}")
            return
        event = next((offer for offer in offers if str(offer.uid) == confirm), None)
        if event is None:
            raise CommandError(
                "No event of that uid offers a subscription; without --confirm all are listed."
            )
        try:
            name = _provider_of(event).confirm_subscription(bytes(event.body))
        except (AnswerUnreadable, HttpFailure, ValueError) as error:
            raise CommandError(f"It was not confirmed: {error}") from error
        self.stdout.write(f"Confirmed: {name}")


def _provider_of(event: WebhookEvent) -> ConfirmsSubscriptions:
    provider = find_receipt_provider(event.provider)
    if not isinstance(provider, ConfirmsSubscriptions):
        raise CommandError(f"{event.provider!r} is not configured for receipts any more.")
    return provider
