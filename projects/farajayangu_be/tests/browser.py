"""Debian's Chromium, for what only a real browser can show."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

__all__ = ["TIMEOUT_MS", "run_chromium"]

TIMEOUT_MS = 30_000


@contextmanager
def run_chromium(*hosts: str) -> Iterator[Browser]:
    """Run the browser: these host names lead to this machine, all others nowhere.

    Where there is none the tests are skipped, and with CI=true they fail.
    """
    path = shutil.which("chromium")
    if path is None:
        message = "There is no Chromium (apt-get install chromium), so no page was looked at."
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"CI=true. {message}", pytrace=False)
        pytest.skip(message)
    ours = "".join(f"MAP {host} 127.0.0.1, " for host in hosts)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=[
                "--no-sandbox",
                "--disable-dev-shm-usage",
                f"--host-resolver-rules={ours}MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            ],
        )
        yield browser
        browser.close()
