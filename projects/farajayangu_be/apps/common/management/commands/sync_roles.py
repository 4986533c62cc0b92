"""`manage.py sync_roles`: the groups of staff, as `apps/common/roles.py` names them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.common.roles import ROLES, UnknownPermission, sync_roles

__all__ = ["Command"]


class Command(BaseCommand):
    """Synchronises; safe to repeat."""

    help = "Give the groups of staff their permissions, after `migrate`."

    def handle(self, *_: Any, **__: Any) -> None:
        """Bring the groups to what the code says."""
        try:
            sync_roles()
        except UnknownPermission as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Roles: {', '.join(ROLES)}.")
