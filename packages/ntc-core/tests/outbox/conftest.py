"""Fixtures of the outbox's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.outbox import sample_jobs


@pytest.fixture(autouse=True)
def ran() -> Iterator[list[object]]:
    """Return what the sample jobs noted during this test."""
    sample_jobs.ran.clear()
    yield sample_jobs.ran
    sample_jobs.ran.clear()
