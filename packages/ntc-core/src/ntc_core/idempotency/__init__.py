"""Calls that are safe to repeat: the same `Idempotency-Key` gives the same answer and one effect.

    class OrderCreateView(IdempotencyMixin, APIView):
        def post(self, request): ...

Needs `ntc_core.idempotency` in INSTALLED_APPS.
"""

from __future__ import annotations
