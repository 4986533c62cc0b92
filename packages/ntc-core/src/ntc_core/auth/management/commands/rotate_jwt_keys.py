"""Change the key that signs tokens, in three steps, without signing anybody out.

    manage.py rotate_jwt_keys add       a new key that verifies; deploy it everywhere
    manage.py rotate_jwt_keys promote   now it signs; deploy, and wait for the old tokens to end
    manage.py rotate_jwt_keys retire    the old key is gone; deploy (--force without --file)

Between two steps every process has to get the new list, so that none meets a token whose key
it does not know. Without `--file` the new value of JWT_KEYS is printed; with it, the file that
JWT_KEYS_FILE names is rewritten.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ntc_core.auth.audit import record_event
from ntc_core.auth.conf import DAY, auth_settings
from ntc_core.auth.keys import ALGORITHMS, make_key, parse_keys
from ntc_core.auth.tokens import signing_keys

__all__ = ["Command"]


class Command(BaseCommand):
    help = "Change the key that signs tokens: add, promote, and two weeks later retire."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the step, and where the keys are."""
        parser.add_argument("step", choices=["add", "promote", "retire"])
        parser.add_argument("--file", type=Path, help="the file of JWT_KEYS_FILE, rewritten")
        parser.add_argument("--algorithm", choices=ALGORITHMS, default="HS256", help="of add")
        parser.add_argument("--force", action="store_true", help="retire before its time")

    def handle(self, *_: Any, step: str, file: Path | None, algorithm: str, **options: Any) -> None:
        """Take one step and say which keys there are now, the one that signs first."""
        try:
            keys = _read(file) if file else list(signing_keys())
            if step == "retire" and not options["force"]:
                _require_overlap(file)
            keys = _after(step, keys, algorithm=algorithm)
            kids = [key.kid for key in parse_keys(keys)]
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        value = ",\n".join(key.strip().replace("\n", "\\n") for key in keys)
        if file:
            _write(file, value + "\n")
        else:
            self.stdout.write(value)
        record_event("auth.keys.rotated", step=step, kids=kids)
        self.stderr.write(f"Signs: {kids[0]}. Verify: {', '.join(kids)}. Deploy this list now.")


def _after(step: str, keys: list[str], *, algorithm: str) -> list[str]:
    if step == "add":
        return [*keys, make_key(algorithm)]
    if len(keys) < 2:  # noqa: PLR2004 - the one that signs and another
        raise CommandError(f"There is one key only, so there is none to {step}. Begin with add.")
    if step == "promote":
        return [keys[-1], *keys[:-1]]
    return keys[:-1]


def _read(file: Path) -> list[str]:
    try:
        text = file.read_text()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    return [key.strip() for key in text.split(",") if key.strip()]


def _require_overlap(file: Path | None) -> None:
    """Refuse to drop a key while tokens that it signed may be in use."""
    if file is None:
        raise CommandError(
            "JWT_KEYS does not tell when the new key was promoted. Tokens of the old one are in "
            f"use for {auth_settings.REFRESH_TOKEN_SECONDS / DAY:.0f} days from then. Retire it "
            "after that with --force; earlier, it signs their owners out."
        )
    wait_seconds = file.stat().st_mtime + auth_settings.REFRESH_TOKEN_SECONDS - time.time()
    if wait_seconds > 0:
        raise CommandError(
            f"Tokens of the old key are in use for another {wait_seconds / DAY:.1f} days. "
            "Retire it then, or with --force sign their owners out."
        )


def _write(file: Path, text: str) -> None:
    """Replace the file as a whole, readable by its owner only."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    draft.replace(file)
