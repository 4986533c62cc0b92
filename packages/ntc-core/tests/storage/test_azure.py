"""Azure Blob Storage against Azurite, which checks signatures and rights by Microsoft's code."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from django.core.files.base import ContentFile
from ntc_core.storage import services
from ntc_core.storage.registry import PROVIDERS

from tests.storage.conftest import fetch, is_there, row_of, send
from tests.storage.places import CONTAINER
from tests.storage.samples import PDF, PNG, SCRIPT

pytest.importorskip("azure.storage.blob")
pytestmark = pytest.mark.azurite


def test_a_file_goes_there_and_comes_back(asha, azure):
    stored = asha.upload(PDF, content_type="application/pdf", filename="Mkataba.pdf")

    assert stored["state"] == "stored"
    answer = fetch(stored["url"])
    assert answer.content == PDF
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Mkataba.pdf"'
    assert fetch(stored["url"].partition("?")[0]).status_code in {403, 404, 409}


def test_a_file_is_saved_under_its_name_in_any_language(asha, azure):
    name = 'Picha ya "Eid" \u2013 \u0645\u062d\u0645\u062f & Asha; 50%.png'

    stored = asha.upload(PNG, filename=name)

    said = fetch(stored["url"]).headers["Content-Disposition"]
    assert said == f"inline; filename*=utf-8''{quote(name)}"


def test_an_address_creates_one_blob_and_does_nothing_else(asha, azure):
    announced = asha.announce(PNG)
    url = announced["send"]["url"]
    assert parse_qs(urlsplit(url).query)["sp"] == ["c"]
    assert send(announced, PNG).status_code == 201

    assert send(announced, PNG).status_code == 403
    assert fetch(url).status_code == 403
    assert httpx.delete(url, trust_env=False).status_code == 403
    assert send(_changed(announced, "/incoming/", "/files/"), PNG).status_code == 403
    stored = asha.complete(announced["uid"]).json()["data"]
    assert send(announced, PNG).status_code == 403
    assert parse_qs(urlsplit(stored["url"]).query)["sp"] == ["r"]
    assert send(_at(announced, stored["url"]), PNG).status_code == 403


def test_changed_and_ended_addresses_are_refused(asha, azure, settings):
    announced = asha.announce(PNG)
    stored = asha.upload(PNG)
    settings.NTC_STORAGE_READ_SECONDS = settings.NTC_STORAGE_UPLOAD_SECONDS = -60
    ended = asha.announce(PNG)

    assert send(_changed(announced, "sp=c", "sp=cw"), PNG).status_code == 403
    assert send(_changed(announced, "sig=", "sig=x"), PNG).status_code == 403
    assert fetch(stored["url"].replace("inline", "attachment")).status_code == 403
    assert send(ended, PNG).status_code == 403
    assert fetch(asha.show(stored["uid"]).json()["data"]["url"]).status_code == 403
    assert send(announced, PNG).status_code == 201


def test_what_azure_does_not_bind_is_looked_at_on_completion(asha, azure):
    for content, code in ((PNG + b"x", "size_wrong"), (b"", "size_wrong")):
        announced = asha.announce(PNG)
        assert send(announced, content).status_code == 201
        refused = asha.complete(announced["uid"])
        assert refused.status_code == 422
        assert refused.json()["errors"][0]["code"] == code
    announced = asha.announce(SCRIPT)
    assert send(announced, SCRIPT, **{"Content-Type": "text/html"}).status_code == 201

    refused = asha.complete(announced["uid"])

    assert refused.json()["errors"][0]["code"] == "type_wrong"
    upload = row_of(announced)
    assert not is_there(upload, upload.incoming_key)
    assert not is_there(upload, upload.file_key)


def test_a_file_is_shown_as_the_type_it_was_found_to_be(asha, azure):
    announced = asha.announce(PNG)
    send(announced, PNG, **{"Content-Type": "text/html"})

    stored = asha.complete(announced["uid"]).json()["data"]

    assert fetch(stored["url"]).headers["Content-Type"] == "image/png"


def test_what_is_copied_is_what_was_looked_at(azure):
    place = PROVIDERS.get("azure")
    source, target = (f"{folder}/{'1' * 32}.png" for folder in ("incoming", "files"))
    place.write(source, io.BytesIO(PNG), content_type="image/png", progress=None)
    looked_at = place.inspect(source, head_bytes=8)
    assert (looked_at.size, looked_at.head) == (len(PNG), PNG[:8])
    place.write(source, io.BytesIO(SCRIPT), content_type="image/png", progress=None)

    with pytest.raises(services.ObjectChanged):
        place.copy(source=source, target=target, etag=looked_at.etag, content_type="image/png")
    assert place.inspect(target, head_bytes=8) is None
    place.delete(source)
    place.delete(source)
    with pytest.raises(services.ObjectChanged):
        place.copy(source=source, target=target, etag=looked_at.etag, content_type="image/png")


def test_many_who_complete_at_once_get_one_answer(asha, azure):
    announced = asha.announce(PNG)
    send(announced, PNG)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asha.complete(announced["uid"]), range(12)))

    assert {each.status_code for each in answers} == {200}
    assert fetch(answers[0].json()["data"]["url"]).content == PNG


def test_while_it_does_not_answer_nothing_is_decided(asha, azure, settings, caplog):
    announced = asha.announce(PNG)
    send(announced, PNG)
    good = settings.NTC_STORAGE_PROVIDERS
    nobody = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:9", azure)
    for wrong, why in (
        ({"container": "another"}, "ContainerNotFound"),
        ({"connection_string": nobody}, "NotSent"),
    ):
        settings.NTC_STORAGE_PROVIDERS = {"azure": good["azure"] | wrong}
        caplog.clear()
        refused = asha.complete(announced["uid"])
        assert refused.status_code == 503
        assert refused.json()["errors"][0]["code"] == "storage_unavailable"
        (line,) = [each for each in caplog.records if each.message == "storage.unavailable"]
        assert (line.provider, line.error) == ("azure", why)

    settings.NTC_STORAGE_PROVIDERS = good
    assert asha.complete(announced["uid"]).json()["data"]["state"] == "stored"


def test_large_files_of_the_service_go_in_parts_with_progress(azure, db):
    content = bytes(range(256)) * (300 * 1024)
    told: list[int] = []

    upload = services.store_file(
        file=io.BytesIO(content),
        filename="taarifa.csv",
        content_type="text/csv",
        progress=told.append,
    )

    assert upload.size == len(content)
    assert told == sorted(told)
    assert (len(told) > 2, told[-1]) == (True, len(content))
    told.clear()
    with services.open_upload(upload, progress=told.append) as file:
        assert file.read() == content
    assert told[-1] == len(content)


def test_djangos_own_storage_keeps_to_its_own_part_of_the_container(azure, settings):
    from django.core.files.storage import storages  # noqa: PLC0415 - after the settings
    from ntc_core.storage.settings import storage_settings  # noqa: PLC0415

    values = {
        "STORAGE_PROVIDER": "azure",
        "AZURE_STORAGE_CONNECTION_STRING": azure,
        "AZURE_STORAGE_CONTAINER": CONTAINER,
    }
    choice = storage_settings(lambda name: values.get(name, ""))
    settings.STORAGES = settings.STORAGES | {"default": choice.django_storage}

    storage = storages["default"]
    name = storage.save("picha/moja.txt", ContentFile(b"habari"))

    with storage.open(name) as file:
        assert file.read() == b"habari"
    assert fetch(storage.url(name)).content == b"habari"
    assert "/media/picha/" in storage.url(name)
    assert fetch(storage.url(name).partition("?")[0]).status_code != 200
    storage.delete(name)
    assert not storage.exists(name)


def _at(announced, url):
    return {"send": announced["send"] | {"url": url}}


def _changed(announced, part, other):
    assert part in announced["send"]["url"]
    return _at(announced, announced["send"]["url"].replace(part, other))
