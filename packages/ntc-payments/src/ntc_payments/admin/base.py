"""What the pages of payments have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import Model
from ntc_core.admin import masked_link
from ntc_core.masking import mask_text
from ntc_core.phone import mask_phone

__all__ = ["BaseAdmin", "BaseInline", "host_of", "link_to", "masked_account", "masked_phone"]

if TYPE_CHECKING:
    # Generic in the stubs only.
    BaseInline = admin.TabularInline[Any, Any]
    BaseAdmin = admin.ModelAdmin[Any]
else:
    BaseInline = admin.TabularInline
    BaseAdmin = admin.ModelAdmin

SHOWN_OF_ACCOUNT = 3


def masked_phone(phone_e164: str) -> str:
    """Return enough to recognise the number."""
    return mask_phone(phone_e164) if phone_e164 else "-"


def masked_account(number: str) -> str:
    """Return the end of an account's number."""
    if not number:
        return "-"
    # Of a short number, the end would be most of it.
    shown = number[-SHOWN_OF_ACCOUNT:] if len(number) > 2 * SHOWN_OF_ACCOUNT else ""
    return f"****{shown}"


def host_of(url: str) -> str:
    """Return where a page is without what opens it: who has such a link is the payer."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/…" if parts.hostname else mask_text(url) or "-"


def link_to(row: Model | None) -> str:
    """Return the row's name, masked, with a link to its page."""
    return masked_link(row) if row is not None else "-"
