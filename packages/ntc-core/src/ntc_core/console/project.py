"""Find the Django project that a command is about, and load it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import django

from ntc_core.masking import mask_text

__all__ = ["ProjectNotLoaded", "load_project"]

_VARIABLE = "DJANGO_SETTINGS_MODULE"
_IN_MANAGE_PY = re.compile(rf"""["']{_VARIABLE}["']\s*,\s*["']([\w.]+)["']""")


class ProjectNotLoaded(Exception):
    """There is no project here, or it does not start; the text says which."""


def load_project(folder: Path, *, settings_module: str | None = None) -> None:
    """Set Django up with the settings given, those of the environment, or those of manage.py.

    Raises:
        ProjectNotLoaded: with a sentence for whoever typed the command.
    """
    module = settings_module or os.environ.get(_VARIABLE) or _read_manage_py(folder)
    os.environ[_VARIABLE] = module
    # As manage.py has it: the project is imported from its own folder.
    sys.path.insert(0, str(folder))
    try:
        django.setup()
    except Exception as error:  # the project's own code: whatever it raises is the answer
        reason = mask_text(f"{type(error).__name__}: {error}")
        raise ProjectNotLoaded(f"{module} cannot be loaded. {reason}") from error


def _read_manage_py(folder: Path) -> str:
    """Return the settings module that manage.py falls back to."""
    path = folder / "manage.py"
    found = _IN_MANAGE_PY.search(path.read_text(encoding="utf-8")) if path.is_file() else None
    if found is None:
        raise ProjectNotLoaded(
            f"No project is here: {_VARIABLE} is not set, and {path} is missing or names no "
            "settings. Go to the folder of manage.py, or give --settings shop.settings.prod."
        )
    return found[1]
