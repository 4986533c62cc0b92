"""What members of staff may do, by role. Each role is a group of named permissions.

This file is the truth: `manage.py sync_roles` brings the groups of these names to it, after
every deployment. Other groups are left alone; so is who belongs to which.
"""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission
from django.db import transaction

__all__ = ["ROLES", "UnknownPermission", "sync_roles"]

_READS_PEOPLE = ["accounts.view_user", "subscriptions.view_subscription", "subscriptions.view_plan"]
_READS_PAYMENTS = [
    "ntc_payments.view_payment",
    "ntc_payments.view_paymentattempt",
    "ntc_payments.view_paymentevent",  # also the timeline of a payment, in the API and the admin
    "ntc_payments.view_refund",
]
_READS_BOOKS = [
    "ntc_payments.view_payout",
    "ntc_payments.view_break",
    "ntc_payments.view_ledgertransaction",
    "ntc_payments.view_ledgerentry",
    "ntc_payments.view_statementline",
]

ROLES: dict[str, list[str]] = {
    # Answers people: sees what happened to them, and signs them out.
    "Support": [
        *_READS_PEOPLE,
        *_READS_PAYMENTS,
        "ntc_auth.view_authsession",
        "ntc_auth.change_authsession",  # to end one
        "ntc_auth.view_auditevent",
        "ntc_notify.view_notification",
        "ntc_notify.view_message",
        "ntc_notify.view_deliveryattempt",
    ],
    # Follows the money.
    "Finance": [
        *_READS_PEOPLE,
        *_READS_PAYMENTS,
        *_READS_BOOKS,
        "ntc_payments.close_break",
        "subscriptions.view_subscriptionperiod",
        "ntc_webhooks.view_webhookevent",
    ],
    # Runs the service: everything but powers over other staff, which superusers keep.
    "Admin": [
        *_READS_PEOPLE,
        *_READS_PAYMENTS,
        *_READS_BOOKS,
        "accounts.add_user",
        "accounts.change_user",
        "subscriptions.view_subscriptionperiod",
        "subscriptions.add_plan",
        "subscriptions.change_plan",
        "ntc_auth.view_authsession",
        "ntc_auth.change_authsession",
        "ntc_auth.view_auditevent",
        "ntc_notify.view_notification",
        "ntc_notify.view_message",
        "ntc_notify.view_deliveryattempt",
        "ntc_webhooks.view_webhookevent",
        "ntc_webhooks.change_webhookevent",  # to run its job again
        "ntc_outbox.view_outboxjob",
        "ntc_outbox.change_outboxjob",  # to retry it
    ],
}


class UnknownPermission(Exception):
    """A role names a permission that no app has."""


@transaction.atomic
def sync_roles() -> None:
    """Give the group of every role its permissions, no more and no fewer.

    Raises:
        UnknownPermission: nothing is changed then.
    """
    known = {
        f"{app_label}.{codename}": pk
        for pk, app_label, codename in Permission.objects.values_list(
            "pk", "content_type__app_label", "codename"
        )
    }
    for name, permissions in ROLES.items():
        if unknown := sorted(set(permissions) - known.keys()):
            raise UnknownPermission(f"The role {name!r} names {', '.join(unknown)}.")
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set([known[permission] for permission in permissions])
