"""The door of the test company, and of one that does not sign."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path
from ntc_core.errors import NotFound
from ntc_core.outbox import job
from ntc_core.webhooks.models import WebhookEvent
from ntc_core.webhooks.services import finish_event, split_provider_slug
from ntc_core.webhooks.types import VerifiedWebhook, WebhookRequest, WebhookVerifier
from ntc_core.webhooks.views import WebhookView

from tests.webhooks.company import Company

company = Company()


class Unsigned:
    """A company that proves nothing; only its path is secret."""

    def open_webhook(self, request: WebhookRequest) -> VerifiedWebhook:
        """Take what comes."""
        return VerifiedWebhook(dedupe_key=request.body.decode(), event_type="note")


@job("tests.handle_webhook", max_attempts=2)
def handle_webhook(event_id: int) -> None:
    """Act upon an event; one type of it always breaks."""
    event = WebhookEvent.objects.get(pk=event_id)
    if event.event_type == "broken":
        raise RuntimeError("cannot act upon +255712345678")
    finish_event(event, state="processed")


class Webhooks(WebhookView):
    """The door."""

    channel = "payments"
    job = "tests.handle_webhook"

    def get_verifier(self, provider_slug: str) -> WebhookVerifier:
        """Return the company of that name."""
        name, suffix = split_provider_slug(provider_slug)
        if name == "acme" and not suffix:
            return company
        if name == "quiet" and suffix:
            return Unsigned()
        raise NotFound


urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/webhooks/payments/<str:provider>/", Webhooks.as_view()),
]
