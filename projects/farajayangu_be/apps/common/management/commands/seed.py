"""`manage.py seed`: the demo data."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.common import demo

__all__ = ["Command"]


class Command(BaseCommand):
    """Seeds; safe to repeat."""

    help = "Write demo plans and demo accounts into the development database."

    def handle(self, *_: Any, **__: Any) -> None:
        """Refuse where the demo admin would be a way in for strangers."""
        if not settings.DEBUG:
            raise CommandError("Demo accounts are for development: DEBUG is off here.")
        demo.seed()
        for account in demo.list_demo_accounts():
            self.stdout.write(f"{account.email}  {account.phone_e164}  {account.password}")
