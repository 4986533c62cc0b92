"""Include these at `dev/mailbox/`; they answer 404 unless DEBUG is on."""

from __future__ import annotations

from django.urls import path

from ntc_notify.mailbox.views import show_mailbox

__all__ = ["app_name", "urlpatterns"]

app_name = "ntc_notify_mailbox"
urlpatterns = [path("", show_mailbox, name="list")]
