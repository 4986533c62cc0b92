"""A server on a port, people who are signed in to it, and a folder for files."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from ntc_core.auth.services import sign_in
from ntc_core.storage.models import Upload
from ntc_core.storage.registry import PROVIDERS

from tests.storage.samples import PNG

UPLOADS = "/api/v1/uploads/"


@pytest.fixture(autouse=True)
def folder(settings, tmp_path: Path) -> Path:
    """Keep files in a folder of this test."""
    cache.clear()
    settings.ROOT_URLCONF = "tests.storage.urls"
    settings.NTC_STORAGE_PROVIDERS = {"local": local_options(tmp_path, "http://testserver")}
    return tmp_path


def local_options(directory: Path, site: str) -> dict[str, Any]:
    return {
        "directory": str(directory),
        "base_url": f"{site}/api/v1/uploads/local",
        "signing_key": secrets.token_hex(32),
    }


@pytest.fixture
def on_port(settings, live_server, tmp_path: Path) -> str:
    """Serve on a port, and let the addresses of the folder point to it."""
    settings.NTC_STORAGE_PROVIDERS = {"local": local_options(tmp_path, live_server.url)}
    return live_server.url


class Person:
    """A client of the API, as an app on a phone is one."""

    def __init__(self, site: str, user: User) -> None:
        self.user = user
        self.http = httpx.Client(
            base_url=site,
            headers={"Authorization": f"Bearer {sign_in(user=user).access}"},
            trust_env=False,
            timeout=30,
        )

    def announce(self, content: bytes = PNG, **values: Any) -> dict[str, Any]:
        body = {"filename": "me.png", "content_type": "image/png", "size": len(content)}
        answer = self.http.post(UPLOADS, json=body | values)
        assert answer.status_code == 201, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def complete(self, uid: str) -> httpx.Response:
        return self.http.post(f"{UPLOADS}{uid}/complete/")

    def show(self, uid: str) -> httpx.Response:
        return self.http.get(f"{UPLOADS}{uid}/")

    def upload(self, content: bytes = PNG, **values: Any) -> dict[str, Any]:
        """Announce, send and complete; return the upload."""
        announced = self.announce(content, **values)
        assert send(announced, content).is_success
        completed = self.complete(announced["uid"])
        assert completed.status_code == 200, completed.text
        data: dict[str, Any] = completed.json()["data"]
        return data


def send(announced: dict[str, Any], content: bytes, **headers: str) -> httpx.Response:
    """Send the bytes as a client that is told nothing but `send`."""
    how = announced["send"]
    return httpx.request(
        how["method"],
        how["url"],
        headers=how["headers"] | headers,
        content=content,
        trust_env=False,
        timeout=30,
    )


def fetch(url: str, **options: Any) -> httpx.Response:
    """Read an address as a browser does that is not signed in to anything."""
    return httpx.get(url, trust_env=False, timeout=30, **options)


@pytest.fixture
def make_person(on_port: str, transactional_db: None) -> Iterator[Callable[[str], Person]]:
    people: list[Person] = []

    def make(name: str) -> Person:
        people.append(Person(on_port, User.objects.create_user(username=name)))
        return people[-1]

    yield make
    for person in people:
        person.http.close()


@pytest.fixture
def asha(make_person: Callable[[str], Person]) -> Person:
    return make_person("asha")


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_user(username="juma")


def row_of(data: dict[str, Any]) -> Upload:
    return Upload.objects.get(uid=data["uid"])


def is_there(upload: Upload, key: str) -> bool:
    """Ask the place itself."""
    return PROVIDERS.get(upload.provider).inspect(key, head_bytes=1) is not None
