"""Fixtures that all tests of the package share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from ntc_core.logging import build_logging
from ntc_notify.signals import message_delivered, message_failed

from tests import scripted
from tests.logwatch import LogWatch
from tests.people import EMAIL, PHONE
from tests.project import CODES

#: Whom and what the tests write about, and what must be in no line of any log.
SEARCHED = (PHONE, PHONE[1:], EMAIL, "481516", "Kumbukumbu", "Habari", "+25571000", "25571000")


@pytest.fixture(scope="session", autouse=True)
def _logs_are_searched_after_the_whole_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """No full number, address, body or code in anything that was logged by any test."""
    watch = LogWatch(tmp_path_factory.mktemp("logs") / "run.log")
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(watch)
    # As loud as production, and as quiet about the loggers that name URLs.
    root.setLevel(logging.INFO)
    for name, options in build_logging()["loggers"].items():
        logging.getLogger(name).setLevel(options.get("level", logging.NOTSET))
    yield
    root.setLevel(before)
    root.removeHandler(watch)
    found = watch.find(*SEARCHED)
    watch.close()
    assert not found, f"{len(found)} lines, such as: {found[0][:300]}"


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
