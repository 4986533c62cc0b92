"""What the columns of several tables have in common."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Never, TypeVar

from django.db import models
from django.db.models import Q

__all__ = [
    "LONGEST_TEXT",
    "LONGEST_URL",
    "AppendOnlyModel",
    "choices",
    "new_payout_reference",
    "new_reference",
    "new_refund_reference",
    "one_of",
]

LONGEST_TEXT = 200
LONGEST_URL = 500

# No letters that look like digits: people read references to each other on the phone.
_REFERENCE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

_Row = TypeVar("_Row", bound=models.Model)


def new_reference() -> str:
    """Return "P" and 19 random letters and digits: what the narrowest company takes."""
    return _random_reference("P")


def new_refund_reference() -> str:
    """Return a reference that cannot be taken for a payment's."""
    return _random_reference("R")


def new_payout_reference() -> str:
    """Return a reference that cannot be taken for a payment's: some companies share the names."""
    return _random_reference("D")


def _random_reference(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_REFERENCE_ALPHABET) for _ in range(19))


def choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    """Return the words as Django wants its choices."""
    return [(word.value, word.value.replace("_", " ").capitalize()) for word in words]


def one_of(field: str, words: Iterable[StrEnum]) -> Q:
    """Plain texts, sorted: a migration must not change with the code that names them."""
    return Q(**{f"{field}__in": sorted(word.value for word in words)})


class AppendOnlyQuerySet(models.QuerySet[_Row]):
    """Rows are added and read, nothing else."""

    def update(self, **_: Any) -> Never:
        """Refuse."""
        raise _only_added(self.model)

    def delete(self) -> Never:
        """Refuse."""
        raise _only_added(self.model)


class AppendOnlyModel(models.Model):
    """A table of facts. The ledger's tables are guarded by the database as well."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; refuse to change a row that exists."""
        if not self._state.adding:
            raise _only_added(type(self))
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> Never:
        """Refuse."""
        raise _only_added(type(self))


def _only_added(model: type[models.Model]) -> TypeError:
    return TypeError(f"{model.__name__} rows are append-only: never changed or deleted.")
