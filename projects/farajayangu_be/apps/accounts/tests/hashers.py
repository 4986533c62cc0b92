"""A password hasher as slow as to be felt, and no slower."""

from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class FeltHasher(PBKDF2PasswordHasher):
    """Some ten milliseconds; the real one takes hundreds."""

    algorithm = "felt"
    iterations = 50_000
