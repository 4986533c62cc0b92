"""Where providers tell what became of messages."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ntc_core.errors import NotFound
from ntc_core.webhooks.services import split_provider_slug
from ntc_core.webhooks.views import WebhookView

from ntc_notify.providers.base import AgreesToDeliveries, Provider
from ntc_notify.registry import find_receipt_provider

__all__ = ["NotifyWebhookView"]

log = logging.getLogger("ntc_notify")


class NotifyWebhookView(WebhookView):
    """The inbox of receipts; a provider that does not sign is known by its path alone."""

    channel = "notify"
    job = "ntc_notify.process_webhook_event"
    http_method_names = ["post", "options"]

    def get_verifier(self, provider_slug: str) -> Provider:
        """Return the configured provider of that path."""
        name, suffix = split_provider_slug(provider_slug)
        provider = find_receipt_provider(name)
        if provider is None or not (provider.capabilities.signs_receipts or suffix):
            raise NotFound
        return provider

    def options(self, request: HttpRequest, provider: str, **_: str) -> HttpResponseBase:
        """Tell a company that asks whether it may post here, as CloudEvents' webhooks do.

        Source: HTTP 1.1 Web Hooks for Event Delivery 1.0.2, 4.2.
        """
        asked = self.get_verifier(provider)
        if not isinstance(asked, AgreesToDeliveries):
            return super().options(request)
        call = self.read_call(request)
        origin = self.prove(asked.agree_to_deliveries, call=call, name=asked.name)
        log.info("webhook.agreed", extra={"provider": asked.name, "origin": origin})
        return HttpResponse(
            headers={"Allow": "POST", "WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        )
