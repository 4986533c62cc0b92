"""Storages that others wrote, each as a process of its own: moto's S3 and Microsoft's Azurite.

moto takes every signature and copies whatever is there, so in front of it stands a door that looks
at both as S3 does.
"""

from __future__ import annotations

import re
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from tests.storage import sigv4

REGION = "eu-west-1"
ACCESS_KEY_ID = "AKIAEXAMPLEEXAMPLE00"
SECRET_ACCESS_KEY = secrets.token_hex(20)
BUCKET = "faraja-files"

#: The account that every Azurite has (learn.microsoft.com, "Use the Azurite emulator").
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
CONTAINER = "faraja-files"

_RUNNING = re.compile(r"Running on (http://127\.0\.0\.1:\d+)")
START_SECONDS = 60


class StrictS3(ThreadingHTTPServer):
    """Lets only requests through to moto that S3 would take."""

    daemon_threads = True

    def __init__(self, moto_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.moto_url = moto_url
        self.url = f"http://127.0.0.1:{self.server_port}"
        #: Answer 500 to what comes, as S3 sometimes does.
        self.is_down = False
        #: The same for what would remove something.
        self.keeps_everything = False
        #: Ignore `If-None-Match`, as services do that only speak like S3.
        self.is_lenient = False
        #: Methods and paths that came.
        self.calls: list[str] = []


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StrictS3

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.calls.append(f"{self.command} {self.path.partition('?')[0]}")
        if self.server.is_down or (self.server.keeps_everything and self.command == "DELETE"):
            self._refuse(500, "InternalError")
            return
        fault = sigv4.find_fault(
            method=self.command,
            target=self.path,
            headers=dict(self.headers.items()),
            body=body,
            secrets={ACCESS_KEY_ID: SECRET_ACCESS_KEY},
            region=REGION,
        )
        if fault:
            self._refuse(403, fault)
            return
        if self._copies_another():
            self._refuse(412, "PreconditionFailed")
            return
        dropped = {"host", "content-length", "connection"}
        if self.server.is_lenient:
            dropped.add("if-none-match")
        answer = httpx.request(
            self.command,
            f"{self.server.moto_url}{self.path}",
            headers={k: v for k, v in self.headers.items() if k.lower() not in dropped},
            content=body,
            trust_env=False,
            timeout=30,
        )
        self._send(answer.status_code, dict(answer.headers), answer.content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815 - http.server's names

    def _copies_another(self) -> bool:
        """Tell whether a copy is asked for of what is not there any more: moto does not look."""
        expected = self.headers.get("x-amz-copy-source-if-match")
        if expected is None:
            return False
        source = f"{self.server.moto_url}/{self.headers['x-amz-copy-source']}"
        somebody = {"Authorization": self.headers["Authorization"]}
        answer = httpx.head(source, headers=somebody, trust_env=False, timeout=30)
        return answer.is_success and answer.headers["ETag"] != expected

    def _refuse(self, status: int, code: str) -> None:
        body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message></Error>'
        self._send(status, {"Content-Type": "application/xml"}, body.encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def run_s3() -> Iterator[StrictS3]:
    """Run moto and its door until the block ends, with a bucket."""
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        server = StrictS3(_await_moto(process))
        location = (
            "<CreateBucketConfiguration><LocationConstraint>"
            f"{REGION}</LocationConstraint></CreateBucketConfiguration>"
        )
        made = httpx.put(f"{server.moto_url}/{BUCKET}", content=location, trust_env=False)
        assert made.is_success, made.text
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        server.server_close()
    finally:
        process.terminate()
        process.wait(timeout=20)
        assert process.stderr is not None
        process.stderr.close()


def _await_moto(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if found := _RUNNING.search(line):
            # It writes a line per request; nobody may let the pipe fill up.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found[1]
    raise AssertionError(f"moto did not start: {''.join(said)}")


@contextmanager
def run_azurite(script: Path) -> Iterator[str]:
    """Run Azurite until the block ends; give the connection string of its account."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *("node", str(script), "--silent", "--skipApiVersionCheck", "--disableTelemetry"),
            *("--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", str(port)),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(START_SECONDS * 10):
            assert process.poll() is None, "Azurite did not start."
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{AZURITE_ACCOUNT};"
        )
    finally:
        process.terminate()
        process.wait(timeout=20)
