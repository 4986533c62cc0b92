"""Who on the staff may do what."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts.models import User
from apps.common import roles
from apps.common.roles import ROLES, sync_roles

pytestmark = pytest.mark.django_db

PHONE = "+255754000009"
PASSWORD = "mti-mrefu-wa-mnazi"


def member_of(role: str) -> User:
    sync_roles()
    user = User.objects.create_user(phone=PHONE, password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def browser_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_every_role_has_exactly_what_the_code_names():
    call_command("sync_roles")

    for name, permissions in ROLES.items():
        found = Permission.objects.filter(group__name=name)
        assert {f"{one.content_type.app_label}.{one.codename}" for one in found} == set(permissions)


def test_synchronising_takes_back_what_was_added_by_hand_and_leaves_other_groups_alone():
    sync_roles()
    extra = Permission.objects.get(codename="delete_user")
    Group.objects.get(name="Support").permissions.add(extra)
    other = Group.objects.create(name="Auditors")
    other.permissions.add(extra)

    sync_roles()

    assert not Group.objects.get(name="Support").permissions.filter(pk=extra.pk).exists()
    assert list(other.permissions.all()) == [extra]
    assert Group.objects.count() == len(ROLES) + 1


def test_a_permission_nobody_has_is_named_and_changes_nothing(monkeypatch):
    monkeypatch.setitem(roles.ROLES, "Support", ["accounts.view_user", "accounts.fly"])

    with pytest.raises(CommandError, match=r"'Support' names accounts\.fly"):
        call_command("sync_roles")
    assert not Group.objects.exists()


@pytest.mark.parametrize("role", sorted(ROLES))
def test_no_role_may_delete_or_hand_out_powers(role):
    names = {permission.partition(".")[2] for permission in ROLES[role]}

    assert not [name for name in names if name.startswith("delete_")]
    assert not [name for name in ROLES[role] if name.startswith("auth.")]


@pytest.mark.parametrize(
    ("role", "opens", "refused"),
    [
        ("Support", "ntc_auth/auditevent", "ntc_outbox/outboxjob"),
        ("Finance", "ntc_payments/payment", "ntc_auth/auditevent"),
        ("Support", "ntc_payments/refund", "ntc_payments/ledgerentry"),
        ("Finance", "ntc_payments/break", "ntc_outbox/outboxjob"),
        ("Finance", "ntc_payments/ledgertransaction", "ntc_auth/authsession"),
        ("Admin", "ntc_outbox/outboxjob", "auth/group"),
    ],
)
def test_a_role_opens_its_pages_and_no_others(role, opens, refused):
    browser = browser_of(member_of(role))

    assert browser.get(f"/admin/{opens}/").status_code == 200
    assert browser.get(f"/admin/{refused}/").status_code == 403


def test_staff_without_a_role_see_nothing():
    user = User.objects.create_user(phone=PHONE, password=PASSWORD, is_staff=True)

    assert browser_of(user).get("/admin/accounts/user/").status_code == 403


def test_only_finance_closes_a_break():
    """Whoever runs the service sees it; what is decided about money is not theirs."""
    holders = {role for role, names in ROLES.items() if "ntc_payments.close_break" in names}

    assert holders == {"Finance"}
