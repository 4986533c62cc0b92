"""Breaks: the one thing here that staff end, with a sentence about what was decided."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from ntc_core.admin import KeptRows, moment_column
from ntc_core.errors import NtcError
from ntc_core.masking import mask_text

from ntc_payments.admin.base import BaseAdmin, link_to
from ntc_payments.models import Break
from ntc_payments.services.breaks import close_break

__all__ = ["BreakAdmin"]


@admin.register(Break)
class BreakAdmin(KeptRows, BaseAdmin):
    """Differences that need a decision. Who may close one writes its resolution, once."""

    list_display = (
        "kind",
        "provider",
        "state",
        "money",
        "short_detail",
        moment_column("created_at"),
        moment_column("closed_at"),
    )
    list_filter = ("state", "kind", "provider", "created_at")
    search_fields = ("uid", "payment__uid", "attempt__reference", "detail")
    date_hierarchy = "created_at"
    fields = (
        "uid",
        "kind",
        "provider",
        "state",
        "money",
        "masked_detail",
        "payment_link",
        "attempt_link",
        "refund_link",
        "payout_link",
        "statement_link",
        "created_at",
        "resolution",
        "closer",
        "closed_at",
    )

    def has_change_permission(self, request: HttpRequest, obj: Break | None = None) -> bool:
        """Only to close it, and only while it is open."""
        if obj is None or obj.state != Break.State.OPEN:
            return False
        may_close = bool(request.user.has_perm("ntc_payments.close_break"))
        return may_close and self._may_see(request)

    def has_view_permission(self, request: HttpRequest, obj: Break | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Ask for the permission itself: who may close one has to be able to see it."""
        return self._may_see(request)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Break | None = None
    ) -> tuple[str, ...]:
        """Return everything but the resolution; of a closed one, that too."""
        if self.has_change_permission(request, obj):
            return tuple(name for name in self.fields if name != "resolution")
        shown = {"resolution": "masked_resolution"}
        return tuple(shown.get(name, name) for name in self.fields)

    def get_fields(self, request: HttpRequest, obj: Break | None = None) -> tuple[str, ...]:
        """Return the fields, the resolution as a text or as a question."""
        if self.has_change_permission(request, obj):
            return self.fields
        return self.get_readonly_fields(request, obj)

    def get_form(
        self,
        request: HttpRequest,
        obj: Break | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **options: Any,
    ) -> Any:
        """Make the resolution a text of several lines that has to be given."""
        form = super().get_form(request, obj, change, **options)
        if "resolution" in form.base_fields:
            form.base_fields["resolution"].required = True
            form.base_fields["resolution"].widget = forms.Textarea(attrs={"rows": 3, "cols": 80})
            form.base_fields["resolution"].help_text = "What was decided. Saving closes the break."
        return form

    def save_model(self, request: HttpRequest, obj: Break, form: Any, change: Any) -> None:  # noqa: ARG002 - Django's signature
        """Close it by the service, which keeps who did."""
        close_break(break_uid=obj.uid, by=request.user, resolution=obj.resolution)

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Tell what the service refuses, such as a break that somebody else has just closed."""
        try:
            return super().changeform_view(request, *args, **options)
        except NtcError as error:
            self.message_user(request, error.message, messages.ERROR)
            return HttpResponseRedirect(request.path)

    def _may_see(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("ntc_payments.view_break"))

    @admin.display(description="detail")
    def short_detail(self, found: Break) -> str:
        """Return the start of what was found."""
        return mask_text(found.detail, longest=80)

    @admin.display(description="detail")
    def masked_detail(self, found: Break) -> str:
        """Return what was found."""
        return mask_text(found.detail)

    @admin.display(description="resolution")
    def masked_resolution(self, found: Break) -> str:
        """Return what was decided."""
        return mask_text(found.resolution) or "-"

    @admin.display(description="closed by")
    def closer(self, found: Break) -> str:
        """Return who closed it; nobody: the question answered itself."""
        return link_to(found.closed_by)

    @admin.display(description="payment")
    def payment_link(self, found: Break) -> str:
        """Return the payment, with a link to its timeline."""
        return link_to(found.payment)

    @admin.display(description="attempt")
    def attempt_link(self, found: Break) -> str:
        """Return the attempt."""
        return link_to(found.attempt)

    @admin.display(description="refund")
    def refund_link(self, found: Break) -> str:
        """Return the refund."""
        return link_to(found.refund)

    @admin.display(description="payout")
    def payout_link(self, found: Break) -> str:
        """Return the payout."""
        return link_to(found.payout)

    @admin.display(description="statement line")
    def statement_link(self, found: Break) -> str:
        """Return the line of the company's statement."""
        return link_to(found.statement_line)
