"""`/docs/` in a real browser: it shows every operation, tries one, and stays on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page

from .browser import TIMEOUT_MS, run_chromium


@pytest.fixture
def page() -> Iterator[Page]:
    """Return a page of Debian's Chromium, which can reach 127.0.0.1 and nothing else."""
    with run_chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        yield page


def test_the_docs_page_shows_and_tries_the_api_without_leaving_the_machine(dev_server, page):
    urls: list[str] = []
    failures: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.on(
        "response", lambda answer: answer.ok or failures.append(f"{answer.status} {answer.url}")
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    schema = httpx.get(f"{dev_server.base_url}/schema/?format=json", timeout=20).json()
    operations = sum(
        1 for item in schema["paths"].values() for method in item if method != "parameters"
    )

    page.goto(f"{dev_server.base_url}/docs/")
    page.locator(".opblock").first.wait_for()

    assert page.locator(".opblock").count() == operations
    assert "Faraja Yangu" in page.locator(".info .title").inner_text()

    plans = page.locator("#operations-subscriptions-plans_list")
    plans.locator(".opblock-summary-control").click()
    plans.locator(".try-out__btn").click()
    plans.locator(".execute").click()
    live = plans.locator(".live-responses-table .response-col_status").nth(1)
    live.wait_for()
    assert live.inner_text().split()[0] == "200"
    assert "siku-7" in plans.locator(".live-responses-table").inner_text()

    hosts = {urlsplit(url).netloc for url in urls if not url.startswith("data:")}
    assert hosts == {urlsplit(dev_server.base_url).netloc}
    assert failures == []
    assert problems == []
