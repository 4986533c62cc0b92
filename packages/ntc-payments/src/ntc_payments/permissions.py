"""Who may see more than their own payments."""

from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

__all__ = ["CanPayOut", "CanReadTimeline", "CanRefund"]


class _StaffWith(BasePermission):
    """Staff with one permission; the permission alone is not enough."""

    permission: str

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's signature
        """Tell whether the caller is such a person."""
        user = request.user
        return bool(user and user.is_staff and user.has_perm(self.permission))


class CanReadTimeline(_StaffWith):
    """Staff with the permission `ntc_payments.view_paymentevent`."""

    permission = "ntc_payments.view_paymentevent"


class CanRefund(_StaffWith):
    """Staff with the permission `ntc_payments.refund_payment`."""

    permission = "ntc_payments.refund_payment"


class CanPayOut(_StaffWith):
    """Staff with the permission `ntc_payments.create_payout`."""

    permission = "ntc_payments.create_payout"
