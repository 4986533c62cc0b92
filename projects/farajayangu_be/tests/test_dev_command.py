"""`manage.py dev` under a shell: it starts what it needs and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from apps.common.simulator_process import is_free

from .processes import PROJECT_DIR, Running, free_ports, pids_of, run, wait_until

needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="Looks into /proc.")


def environment(folder: Path, port: int) -> dict[str, str]:
    """Return what such a test sets."""
    return {"PORT": str(port), "LOCAL_DIR": str(folder / "local")}


def wait_until_ready(running: Running, port: int) -> None:
    """Wait for the web server."""
    running.wait_for(f"http://127.0.0.1:{port}/health/ready/")


def simulators_of(folder: Path) -> list[int]:
    """Return the simulators that keep their state in this folder."""
    return pids_of(str(folder / "local" / "simulator.sqlite3"))


@needs_proc
@pytest.mark.parametrize("reloader", ["--noreload", ""], ids=["alone", "with reloader"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_it_ends(tmp_path, how, reloader):
    """Asked, interrupted or killed: the port is free again and the simulator has gone."""
    port = free_ports(1)[0]
    serve = ["manage.py", "dev", *filter(None, [reloader])]
    with run("dev", serve, env=environment(tmp_path, port), folder=tmp_path) as running:
        wait_until_ready(running, port)
        assert len(simulators_of(tmp_path)) == 1

        running.process.send_signal(how)
        running.process.wait(20)

        wait_until(lambda: not simulators_of(tmp_path), what="the simulator to end")
        wait_until(lambda: is_free(port), what="the port to be free")


@needs_proc
def test_a_saved_file_reloads_the_server_and_keeps_the_simulator(tmp_path):
    """Prompts that wait on the phone survive a change of the code."""
    settings = tmp_path / "settings_of_this_test.py"
    settings.write_text("from farajayangu_be.settings.dev import *\n")
    port = free_ports(1)[0]
    env = {
        **environment(tmp_path, port),
        "PYTHONPATH": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "settings_of_this_test",
    }
    with run("dev", ["manage.py", "dev"], env=env, folder=tmp_path) as running:
        wait_until_ready(running, port)
        simulator = simulators_of(tmp_path)

        def has_reloaded() -> bool:
            # Saved again until it is seen: the reloader may not look yet.
            settings.touch()
            return "reloading" in running.output

        wait_until(has_reloaded, what="the reload")
        wait_until_ready(running, port)
        assert simulators_of(tmp_path) == simulator
        assert running.output.count("API docs") == 1


def test_it_says_where_everything_is(dev_server):
    output = dev_server.running.output

    for path in ("/docs/", "/dev/phone/", "/dev/mailbox/", "/admin/"):
        assert f"{dev_server.base_url}{path}" in output
        page = httpx.get(f"{dev_server.base_url}{path}", follow_redirects=True, timeout=20)
        assert page.status_code == 200


def test_the_first_page_leads_everywhere(dev_server):
    page = httpx.get(dev_server.base_url, headers={"Accept": "text/html"}, timeout=20)

    assert page.status_code == 200
    links = re.findall(r'href="(/[^"]*)"', page.text)
    assert {"/docs/", "/dev/phone/", "/dev/mailbox/", "/admin/"} <= set(links)
    for link in links:
        answer = httpx.get(f"{dev_server.base_url}{link}", follow_redirects=True, timeout=20)
        assert answer.status_code == 200, link


@pytest.mark.parametrize(
    ("page", "expected"),
    [("/dev/phone/", {"/dev/mailbox/", "/docs/"}), ("/dev/mailbox/", {"/dev/phone/", "/docs/"})],
)
def test_the_screens_lead_to_each_other(dev_server, page, expected):
    answer = httpx.get(f"{dev_server.base_url}{page}", headers={"Accept": "text/html"}, timeout=20)

    assert expected <= set(re.findall(r'href="(/[^"]*)"', answer.text))


def test_the_printed_demo_accounts_can_sign_in(dev_server):
    words = dev_server.running.output.split()
    customer = words[words.index("password") + 1]
    admin = words[words.index("admin@example.com") + 1]

    for identifier, password in (("demo@example.com", customer), ("admin@example.com", admin)):
        signed_in = httpx.post(
            f"{dev_server.base_url}/api/v1/auth/login/",
            json={"identifier": identifier, "password": password, "transport": "token"},
            timeout=20,
        )
        assert signed_in.status_code == 200, signed_in.text


def test_the_secret_key_is_made_once_and_only_its_owner_reads_it(dev_server):
    path = dev_server.local_dir / "secret_key"

    assert len(path.read_text()) >= 50
    assert path.stat().st_mode & 0o077 == 0


def test_another_port_is_found_when_the_simulators_is_taken(tmp_path):
    port = free_ports(1)[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + 1))
        taken.listen()
        serve = ["manage.py", "dev", "--noreload"]
        with run("dev", serve, env=environment(tmp_path, port), folder=tmp_path) as running:
            wait_until_ready(running, port)
            prompts = httpx.get(
                f"http://127.0.0.1:{port}/dev/phone/",
                headers={"Accept": "application/json"},
                timeout=20,
            )
            assert json.loads(prompts.text) == []


@pytest.mark.parametrize(
    ("arguments", "change", "sentence"),
    [
        (["dev", "9000"], {}, "Set PORT instead"),
        (["dev"], {"PORT": "taken"}, "is taken. Choose another"),
        (["dev"], {"DJANGO_SETTINGS_MODULE": "tests.settings_light"}, "DEBUG is off"),
        (["seed"], {"DJANGO_SETTINGS_MODULE": "tests.settings_light"}, "DEBUG is off"),
    ],
)
def test_what_cannot_work_is_said_at_once(tmp_path, arguments, change, sentence):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        env = {**environment(tmp_path, free_ports(1)[0]), "PATH": os.environ["PATH"], **change}
        if env["PORT"] == "taken":
            env["PORT"] = str(taken.getsockname()[1])

        refused = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=PROJECT_DIR,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert refused.returncode != 0
    assert f"CommandError: {sentence}" in refused.stderr or sentence in refused.stderr
    assert "Traceback" not in refused.stderr


#: Each company once, by a way that its payers use.
PLAYED = {
    "selcom": "mobile_push",
    "clickpesa": "mobile_push",
    "beem": "hosted_checkout",
    "polar": "hosted_checkout",
}


def test_every_company_is_played_without_a_contract(tmp_path):
    """PAYMENT_PROVIDERS alone: the simulator plays whom nobody has keys for, callbacks included."""
    port = free_ports(1)[0]
    env = environment(tmp_path, port) | {"PAYMENT_PROVIDERS": ",".join(PLAYED)}
    serve = ["manage.py", "dev", "--noreload"]
    with run("dev", serve, env=env, folder=tmp_path) as running:
        wait_until_ready(running, port)
        assert "Played     selcom, clickpesa, beem, polar" in running.output
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as customer:
            sign_in_as_customer(customer, running)
            for company, method in PLAYED.items():
                pay_by(customer, company, method)
        assert "Traceback" not in running.output


def sign_in_as_customer(client: httpx.Client, running: Running) -> None:
    """Sign in as the customer whose password the server has printed."""
    [identifier] = re.findall(r"identifier (\S+)", running.output)
    [password] = re.findall(r"password   (\S+)", running.output)
    form = {"identifier": identifier, "password": password, "transport": "token"}
    answer = client.post("/api/v1/auth/login/", json=form)
    client.headers["Authorization"] = f"Bearer {answer.json()['data']['access']}"


def pay_by(customer: httpx.Client, company: str, method: str) -> None:
    """Buy the dearest plan there, approve on the phone, and wait until it is paid."""
    plans = customer.get("/api/v1/plans/").json()["data"]["results"]
    choice = {"plan": plans[-1]["uid"], "method": method, "provider": company}
    bought = customer.post("/api/v1/subscriptions/", json=choice).json()["data"]["payment"]

    def approve() -> bool:
        prompts = customer.get("/dev/phone/", headers={"Accept": "application/json"}).json()
        for prompt in prompts:
            customer.post(f"/dev/phone/{prompt['uid']}/approve/")
        payment = customer.get(f"/api/v1/payments/{bought['uid']}/").json()["data"]
        assert payment["status"] in {"open", "processing", "succeeded"}, (company, payment)
        return bool(payment["status"] == "succeeded")

    wait_until(approve, what=f"the payment by {company}", timeout_seconds=60)
