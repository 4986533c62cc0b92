"""What Prometheus reads, and who may: over HTTP, added up over processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

import httpx
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from ntc_core import metrics
from ntc_core.prometheus import PrometheusSink
from ntc_core.prometheus.page import serve_metrics
from prometheus_client.parser import text_string_to_metric_families

from tests.checks.finding import ids

PACKAGE = Path(__file__).resolve().parents[2]
TOKEN = "a-token-for-the-metrics-page"
SINK = "ntc_core.prometheus.PrometheusSink"


@pytest.fixture(scope="module", autouse=True)
def _one_registry():
    """Keep one sink for this file: prometheus_client registers a name once per process."""
    with override_settings(NTC_METRICS_SINK=SINK, ROOT_URLCONF="tests.observed.urls"):
        yield


def read(text):
    """Return name -> value of the samples, with the labels that there are."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def get(client, *, token="", **headers):
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return client.get("/metrics", headers=headers)


def test_what_was_told_is_on_the_page(client, settings):
    settings.NTC_METRICS_TOKEN = TOKEN

    metrics.count("tests_sales", provider="a")
    metrics.count("tests_sales", 2, provider="a")
    metrics.observe("tests_wait_seconds", 0.2)
    metrics.gauge("tests_open", 3, kind="x")
    metrics.gauge("tests_open", 2, kind="x")
    response = get(client, token=TOKEN)

    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain")
    assert "no-store" in response.headers["Cache-Control"]
    samples = read(response.text)
    assert samples["tests_sales_total", "a"] == 3
    assert samples["tests_wait_seconds_count",] == 1
    assert samples["tests_wait_seconds_bucket", "0.25"] == 1
    assert samples["tests_wait_seconds_bucket", "0.1"] == 0
    assert samples["tests_open", "x"] == 2


@pytest.mark.parametrize(
    ("granted", "headers", "status"),
    [
        ({}, {}, 404),
        ({}, {"Authorization": "Bearer "}, 404),
        ({"NTC_METRICS_TOKEN": TOKEN}, {}, 404),
        ({"NTC_METRICS_TOKEN": TOKEN}, {"Authorization": f"Bearer {TOKEN}x"}, 404),
        ({"NTC_METRICS_TOKEN": TOKEN}, {"Authorization": "Bearer \udcff"}, 404),
        ({"NTC_METRICS_TOKEN": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"NTC_METRICS_NETWORKS": ["127.0.0.0/8"]}, {}, 200),
        ({"NTC_METRICS_NETWORKS": ["10.0.0.0/8", "2001:db8::/32"]}, {}, 404),
        # A proxy that nobody told us of: everybody would be near.
        ({"NTC_METRICS_NETWORKS": ["127.0.0.0/8"]}, {"X-Forwarded-For": "203.0.113.5"}, 404),
        (
            {"NTC_METRICS_NETWORKS": ["127.0.0.0/8"], "NTC_TRUSTED_PROXY_COUNT": 1},
            {"X-Forwarded-For": "127.0.0.1, 203.0.113.5"},
            404,
        ),
        (
            {"NTC_METRICS_NETWORKS": ["127.0.0.0/8"], "NTC_TRUSTED_PROXY_COUNT": 1},
            {"X-Forwarded-For": "203.0.113.5, 127.0.0.1"},
            200,
        ),
    ],
)
def test_the_page_is_there_for_those_only_who_may_read_it(client, granted, headers, status):
    with override_settings(**granted):
        assert client.get("/metrics", headers=headers).status_code == status


def test_many_threads_that_meet_a_new_name_lose_no_count(client, settings, caplog):
    settings.NTC_METRICS_TOKEN = TOKEN
    start = threading.Barrier(20)

    def count():
        start.wait()
        metrics.count("tests_new_name", kind="x")

    threads = [threading.Thread(target=count) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert read(get(client, token=TOKEN).text)["tests_new_name_total", "x"] == 20
    assert "metrics.sink_broke" not in caplog.text


@contextmanager
def counting(parcels, folder):
    """Run a process that counts and shows its page; yield the page's URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.observed.counting", str(parcels)],
        cwd=PACKAGE,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.observed.settings",
            "METRICS_TOKEN": TOKEN,
            "PROMETHEUS_MULTIPROC_DIR": str(folder),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/metrics"
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def test_processes_are_added_up_by_whichever_answers(tmp_path):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with ExitStack() as stack:
        urls = [stack.enter_context(counting(parcels, tmp_path / "shared")) for parcels in (7, 5)]
        pages = [httpx.get(url, headers=bearer).text for url in urls]
        stranger = httpx.get(urls[0])
        elsewhere = httpx.get(urls[0].removesuffix("metrics"), headers=bearer)

    for page in pages:
        samples = read(page)
        assert samples["shop_sales_total", "a"] == 2
        assert samples["shop_wait_seconds_count",] == 2
        assert samples["shop_parcels",] == 5
    assert (stranger.status_code, elsewhere.status_code) == (404, 404)


def test_a_port_that_is_taken_is_said_so(settings):
    port = serve_metrics(port=0, host="127.0.0.1")

    with pytest.raises(OSError, match="in use"):
        serve_metrics(port=port, host="127.0.0.1")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)

    with pytest.raises(ImproperlyConfigured, match=r"pip install 'ntc-core\[prometheus\]'"):
        PrometheusSink()


def test_a_folder_that_cannot_be_made_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "file" / "metrics"))

    with pytest.raises(ImproperlyConfigured, match="which cannot be made"):
        PrometheusSink()


@pytest.mark.parametrize(
    "changes",
    [
        {"NTC_METRICS_TOKEN": "short"},
        {"NTC_METRICS_NETWORKS": ["0.0.0.0/0"]},
        {"NTC_METRICS_NETWORKS": ["office"]},
        {"NTC_METRICS_NETWORKS": "10.0.0.0/8"},
    ],
)
def test_a_page_that_is_open_to_too_many_is_named(changes):
    assert ids(**changes) == ["ntc_core.E015"]


def test_a_page_for_a_network_of_ours_is_fine():
    assert ids(NTC_METRICS_TOKEN=TOKEN, NTC_METRICS_NETWORKS=["10.0.0.0/8"]) == []


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_celery_worker_shows_its_own_and_a_second_one_does_without(settings, free_port, caplog):
    signals = pytest.importorskip("celery.signals")
    import_module("ntc_core.outbox.celery")
    settings.NTC_METRICS_TOKEN = TOKEN
    settings.NTC_METRICS_PORT = free_port
    bearer = {"Authorization": f"Bearer {TOKEN}"}

    signals.worker_init.send(sender=None)
    signals.worker_init.send(sender=None)

    page = httpx.get(f"http://127.0.0.1:{free_port}/metrics", headers=bearer)
    assert page.status_code == 200
    assert [each.message for each in caplog.records if "port_taken" in each.message] == [
        "metrics.port_taken"
    ]


def test_a_worker_whose_numbers_nobody_may_read_opens_no_port(settings, free_port):
    signals = pytest.importorskip("celery.signals")
    import_module("ntc_core.outbox.celery")
    settings.NTC_METRICS_PORT = free_port

    signals.worker_init.send(sender=None)

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{free_port}/metrics")
