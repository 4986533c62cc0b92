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
from ntc_core.testing.services import azurite_script

from tests.storage.places import (
    ACCESS_KEY_ID,
    BUCKET,
    CONTAINER,
    REGION,
    SECRET_ACCESS_KEY,
    StrictS3,
    run_azurite,
    run_s3,
)
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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[StrictS3]:
    with run_s3() as server:
        yield server


@pytest.fixture
def s3(s3_server: StrictS3, settings, on_port: str) -> StrictS3:
    """Keep files at moto's S3, behind the door that looks at signatures."""
    s3_server.is_down = s3_server.keeps_everything = s3_server.is_lenient = False
    s3_server.calls.clear()
    settings.NTC_STORAGE_PROVIDERS = {
        "s3": {
            "bucket": BUCKET,
            "region": REGION,
            "access_key_id": ACCESS_KEY_ID,
            "secret_access_key": SECRET_ACCESS_KEY,
            "endpoint_url": s3_server.url,
        }
    }
    return s3_server


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    script = azurite_script()
    assert script is not None
    with run_azurite(script) as connection_string:
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - an extra

        with BlobServiceClient.from_connection_string(connection_string) as service:
            service.create_container(CONTAINER)
        yield connection_string


@pytest.fixture
def azure(azurite: str, settings, on_port: str) -> str:
    """Keep files at Azurite."""
    settings.NTC_STORAGE_PROVIDERS = {
        "azure": {"connection_string": azurite, "container": CONTAINER}
    }
    return azurite
