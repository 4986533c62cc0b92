"""What the tests of the whole project share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from django.conf import settings


@pytest.fixture(scope="session", autouse=True)
def _remove_local_files() -> Iterator[None]:
    """Remove the mailbox and the like that settings/test.py keeps in a temporary folder."""
    yield
    shutil.rmtree(settings.LOCAL_DIR, ignore_errors=True)
