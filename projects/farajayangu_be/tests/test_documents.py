"""What the documents name exists: a renamed function must not live on in a guide."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth import get_permission_codename
from ntc_core.outbox.jobs import list_jobs

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "packages/*/*.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
DOTTED = re.compile(r"\bntc_(?:core|payments|notify)(?:\.[A-Za-z_][A-Za-z0-9_]*)+")
CHECK_ID = re.compile(r"\w+\.[EW][0-9]{3}")
CELERY_TASKS = {"ntc_core.outbox.tick", "ntc_core.outbox.run_job"}


def permissions() -> set[str]:
    """Return every permission there is, as code asks for it: `app_label.codename`."""
    return {
        f"{options.app_label}.{codename}"
        for options in (model._meta for model in apps.get_models())
        for codename in (
            *(get_permission_codename(action, options) for action in options.default_permissions),
            *(codename for codename, _ in options.permissions),
        )
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_dotted_names_in_documents_exist(document):
    names = {match.group() for match in DOTTED.finditer(document.read_text())}
    names -= CELERY_TASKS | {job.name for job in list_jobs()} | permissions()

    missing = sorted(name for name in names if not CHECK_ID.fullmatch(name) and not exists(name))

    assert not missing


def exists(dotted: str) -> bool:
    """Tell whether `package.module.name` can be reached by importing and looking."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            if not hasattr(found, name):
                return name in getattr(found, "__annotations__", {})
            found = getattr(found, name)
        return True
    return False
