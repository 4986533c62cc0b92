"""One table of the project that the tests play."""

from __future__ import annotations

from django.db import models
from ntc_core.models import BaseModel


class Shop(BaseModel):
    """A shop, with a branch that keeps it from being deleted."""

    name = models.CharField(max_length=40)
    phone_e164 = models.CharField(max_length=16, unique=True, null=True, blank=True)

    def __str__(self):
        return self.name


class Branch(BaseModel):
    """Protects its shop."""

    shop = models.ForeignKey(Shop, on_delete=models.PROTECT, related_name="branches")

    def __str__(self):
        return str(self.uid)
