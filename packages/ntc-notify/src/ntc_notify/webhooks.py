"""Where providers tell what became of messages."""

from __future__ import annotations

from ntc_core.errors import NotFound
from ntc_core.webhooks.services import split_provider_slug
from ntc_core.webhooks.views import WebhookView

from ntc_notify.providers.base import Provider
from ntc_notify.registry import find_receipt_provider

__all__ = ["NotifyWebhookView"]


class NotifyWebhookView(WebhookView):
    """The inbox of receipts; a provider that does not sign is known by its path alone."""

    channel = "notify"
    job = "ntc_notify.process_webhook_event"

    def get_verifier(self, provider_slug: str) -> Provider:
        """Return the configured provider of that path."""
        name, suffix = split_provider_slug(provider_slug)
        provider = find_receipt_provider(name)
        if provider is None or not (provider.capabilities.signs_receipts or suffix):
            raise NotFound
        return provider
