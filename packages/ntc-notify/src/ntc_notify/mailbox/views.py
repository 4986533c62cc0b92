"""Every SMS and email that the local mailbox kept, newest first."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from ntc_notify.providers.mailbox import KeptMessage, MailboxProvider, read_mailbox
from ntc_notify.registry import get_provider, list_provider_names
from ntc_notify.types import Channel

__all__ = ["show_mailbox"]

JSON, HTML = "application/json", "text/html"


@never_cache
@require_safe
def show_mailbox(request: HttpRequest) -> HttpResponse:
    """Answer a page, or to `Accept: application/json` a bare list of the messages."""
    if not settings.DEBUG:
        raise Http404
    kept = _list_kept()
    if request.get_preferred_type([HTML, JSON]) == JSON:
        return JsonResponse([message.to_json() for message in kept], safe=False)
    return render(request, "ntc_notify/mailbox.html", {"kept": kept})


def _list_kept() -> list[KeptMessage]:
    """Read the folder of every mailbox among the configured providers, each once."""
    folders = set()
    for channel in Channel:
        for name in list_provider_names(channel):
            provider = get_provider(channel, name)
            if isinstance(provider, MailboxProvider):
                folders.add(provider.directory)
    kept = [message for folder in folders for message in read_mailbox(folder)]
    return sorted(kept, key=lambda message: message.sent_at, reverse=True)
