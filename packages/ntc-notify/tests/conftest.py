"""Fixtures that all tests of the package share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from ntc_notify.signals import message_delivered, message_failed

from tests import scripted
from tests.project import CODES


@pytest.fixture(autouse=True)
def mailbox(settings, tmp_path: Path) -> Path:
    """Give every test its own local mailbox, as the provider of both channels."""
    folder = tmp_path / "mailbox"
    settings.NTC_EMAIL_PROVIDERS = {"mailbox": {"directory": str(folder)}}
    settings.NTC_SMS_PROVIDERS = {"mailbox": {"directory": str(folder)}}
    return folder


@pytest.fixture(autouse=True)
def _fresh_world() -> Iterator[None]:
    yield
    CODES.clear()
    scripted.forget()


@pytest.fixture
def sms_company(settings) -> scripted.Company:
    """Return a made-up SMS company that answers as told, as the only one."""
    return scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha"])["alpha"]


@pytest.fixture
def sms_companies(settings) -> dict[str, scripted.Company]:
    """Return two made-up SMS companies, "alpha" before "beta"."""
    return scripted.configure(settings, "NTC_SMS_PROVIDERS", ["alpha", "beta"])


@pytest.fixture
def code() -> str:
    """Let the project know the code of the challenge that `send_code_by_sms` names."""
    CODES["c1"] = "481516"
    return "481516"


@pytest.fixture
def heard() -> Iterator[list[tuple[str, UUID]]]:
    """Collect what the signals told, as (state, uid)."""
    told: list[tuple[str, UUID]] = []

    def listen(message, **_):
        told.append((message.state, message.uid))

    message_delivered.connect(listen)
    message_failed.connect(listen)
    yield told
    message_delivered.disconnect(listen)
    message_failed.disconnect(listen)
