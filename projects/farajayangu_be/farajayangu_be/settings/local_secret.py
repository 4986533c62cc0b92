"""The development secret: made on first use, kept on this machine, never in the repository."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

__all__ = ["read_or_make_secret"]


def read_or_make_secret(path: Path) -> str:
    """Return the secret in the file; processes that start together agree on one.

    The file appears complete or not at all: it is written aside and linked into place, and
    whoever comes second keeps the first one's.
    """
    if not path.exists():
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        draft = Path(name)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
