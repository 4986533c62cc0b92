"""What the admin may not do to rows that record what happened, and how it names people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.timezone import localtime

from ntc_core.masking import mask_text

__all__ = ["KeptRows", "ReadOnlyRows", "masked_link", "moment_column", "short_uid"]

SHOWN_OF_UID = 8


class KeptRows:
    """Mix into a ModelAdmin or inline: rows are written by services and never dropped."""

    def has_add_permission(self, *_: Any, **__: Any) -> bool:
        """Nobody adds."""
        return False

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        """Nobody deletes."""
        return False


class ReadOnlyRows(KeptRows):
    """The same, and nobody changes a field either."""

    def has_change_permission(self, *_: Any, **__: Any) -> bool:
        """Nobody changes."""
        return False


def masked_link(row: Model) -> str:
    """Return the row's name with people masked, linked to its page if the admin has one."""
    name = mask_text(str(row))
    meta = row._meta  # noqa: SLF001 - public, whatever its name
    try:
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return name
    return format_html('<a href="{}">{}</a>', url, name)


def moment_column(field: str) -> Callable[[Model], str]:
    """Return a column for `list_display`: that moment in short, with the seconds of its order."""

    @admin.display(description=field.replace("_", " "), ordering=field)
    def column(row: Model) -> str:
        moment = getattr(row, field)
        return f"{localtime(moment):%Y-%m-%d %H:%M:%S}" if moment else "-"

    # Django names the cell after it.
    column.__name__ = field
    return column


def short_uid(uid: UUID) -> str:
    """Return the last characters of a uid, for a column; the whole is in its tooltip."""
    return format_html('<span title="{}">…{}</span>', uid, str(uid)[-SHOWN_OF_UID:])
