"""What our people's passwords must not be made of, besides what Django refuses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError

__all__ = ["OurWordsValidator"]


class OurWordsValidator:
    """Refuse a password that is little more than words everybody connects with us.

    What is left when these words are taken out must be a password's length by itself, so
    a long sentence may well have one of them.
    """

    def __init__(self, *, words: Iterable[str], rest_length: int = 8) -> None:
        # Longest first, or the short ones would leave pieces of the long ones.
        self.words = sorted((word.casefold() for word in words), key=len, reverse=True)
        self.rest_length = rest_length

    def validate(self, password: str, user: Any = None) -> None:  # noqa: ARG002 - Django's signature
        """Check it.

        Raises:
            ValidationError: without our words too little is left.
        """
        rest = password.casefold()
        for word in self.words:
            rest = rest.replace(word, "")
        if rest != password.casefold() and len(rest) < self.rest_length:
            raise ValidationError(
                "This password is too easy to guess for somebody who knows us.",
                code="password_of_our_words",
            )

    def get_help_text(self) -> str:
        """Return what the admin shows beside the field."""
        return "Your password can't be made of our names."
