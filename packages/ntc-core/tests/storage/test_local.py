"""The local folder over real HTTP: sent, looked at, read; and what is refused on the way."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import time_machine
from django.utils import timezone
from ntc_core.storage.errors import AddressInvalid
from ntc_core.storage.registry import PROVIDERS
from ntc_core.storage.services import create_upload

from tests.storage.conftest import UPLOADS, fetch, is_there, row_of, send
from tests.storage.samples import PDF, PNG, SAMPLES, SCRIPT


def test_files_go_there_and_come_back(asha):
    for content_type, content in SAMPLES.items():
        stored = asha.upload(content, content_type=content_type, filename="Picha yangu")

        assert stored["state"] == "stored"
        assert (stored["size"], stored["content_type"]) == (len(content), content_type)
        answer = fetch(stored["url"])
        assert answer.content == content
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "no-store" in answer.headers["Cache-Control"]
        shown = "attachment" if content_type == "application/pdf" else "inline"
        name = f"Picha yangu.{row_of(stored).key.rpartition('.')[2]}"
        assert answer.headers["Content-Disposition"] == f'{shown}; filename="{name}"'


def test_names_of_objects_say_nothing_and_have_nothing_of_the_name_given(asha):
    stored = asha.upload(filename="../../etc/siri ya Juma.png")

    upload = row_of(stored)
    assert upload.filename == "siri ya Juma.png"
    assert "Juma" not in upload.key
    assert len(upload.key) == len("0" * 32 + ".png")
    assert asha.upload()["url"].partition("?")[0] != stored["url"].partition("?")[0]


def test_an_address_takes_one_file_once(asha):
    announced = asha.announce()
    assert send(announced, PNG).status_code == 201

    again = send(announced, PNG)

    assert again.status_code == 412
    assert again.json()["errors"][0]["code"] == "upload_exists"
    assert asha.complete(announced["uid"]).status_code == 200


def test_what_was_checked_cannot_be_replaced_by_the_address_it_came_by(asha):
    announced = asha.announce()
    send(announced, PNG)
    stored = asha.complete(announced["uid"]).json()["data"]

    assert send(announced, PNG[::-1]).status_code == 412
    assert fetch(stored["url"]).content == PNG


CHANGES = (
    lambda url: url.replace("expires=", "expires=9"),
    lambda url: url.replace("size=", "size=1"),
    lambda url: url.replace("image%2Fpng", "text%2Fhtml"),
    lambda url: url.replace("incoming/", "files/"),
    lambda url: url.rpartition("&")[0],
    lambda url: url.partition("?")[0],
    lambda url: f"{url[:-1]}{'1' if url[-1] == '0' else '0'}",
    lambda url: f"{url}&x=1",
)


def test_a_changed_address_takes_nothing(asha):
    announced = asha.announce()

    for change in CHANGES:
        url = change(announced["send"]["url"])
        refused = send({"send": announced["send"] | {"url": url}}, PNG)
        assert refused.status_code == 403, url
        assert refused.json()["errors"][0]["code"] == "address_invalid"

    assert asha.complete(announced["uid"]).status_code == 409


def test_a_changed_address_shows_nothing(asha):
    stored = asha.upload()
    another = asha.upload()

    key = stored["url"].partition("?")[0]
    for url in (
        stored["url"].replace("expires=", "expires=9"),
        stored["url"].replace("inline", "x"),
        stored["url"].replace("image%2Fpng", "text%2Fhtml"),
        key,
        f"{key}?{another['url'].partition('?')[2]}",
    ):
        assert fetch(url).status_code == 403, url


def test_addresses_end(asha):
    announced = asha.announce()
    stored = asha.upload()

    with time_machine.travel(timezone.now() + timezone.timedelta(hours=2)):
        late = send(announced, PNG)
        late_reader = fetch(stored["url"])

    assert (late.status_code, late_reader.status_code) == (403, 403)
    assert fetch(stored["url"]).status_code == 200


def test_an_address_to_send_does_not_read_and_one_to_read_does_not_send(asha):
    announced = asha.announce()
    stored = asha.upload()

    assert fetch(announced["send"]["url"]).status_code == 403
    assert send({"send": announced["send"] | {"url": stored["url"]}}, PNG).status_code == 403
    assert asha.http.post(announced["send"]["url"], content=PNG).status_code == 405


def test_only_the_announced_number_of_bytes_is_taken(asha):
    announced = asha.announce()

    for content in (PNG + b"x", PNG[:-1], b""):
        refused = send(announced, content)
        assert refused.status_code == 400
        assert f"Expected {len(PNG)} bytes" in refused.json()["message"]

    assert asha.complete(announced["uid"]).status_code == 409


def test_only_the_announced_type_is_taken(asha):
    announced = asha.announce()

    refused = send(announced, PNG, **{"Content-Type": "text/html"})

    assert refused.status_code == 400
    assert "Content-Type: image/png" in refused.json()["message"]


def test_a_body_that_is_cut_off_leaves_nothing(asha):
    announced = asha.announce()
    address = urlsplit(announced["send"]["url"])
    with socket.create_connection((address.hostname, address.port), timeout=10) as line:
        head = (
            f"PUT {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Content-Type: image/png\r\nContent-Length: {len(PNG)}\r\n\r\n"
        )
        line.sendall(head.encode() + PNG[:10])
        line.shutdown(socket.SHUT_WR)
        assert b" 400 " in line.recv(4096)

    assert asha.complete(announced["uid"]).json()["errors"][0]["code"] == "upload_incomplete"
    assert send(announced, PNG).status_code == 201
    assert asha.complete(announced["uid"]).status_code == 200


def test_of_many_who_send_at_once_one_file_is_there_and_whole(asha):
    announced = asha.announce()

    with ThreadPoolExecutor(8) as pool:
        statuses = [each.status_code for each in pool.map(lambda _: send(announced, PNG), range(8))]

    assert statuses.count(201) == 1
    assert set(statuses) == {201, 412}
    assert asha.complete(announced["uid"]).status_code == 200


def test_what_a_killed_process_left_behind_is_written_over(asha, tmp_path):
    announced = asha.announce()
    part = tmp_path / f"{row_of(announced).incoming_key}.part"
    part.parent.mkdir()
    part.write_bytes(b"half of a file that is longer than the whole one" * 10)

    stored = send(announced, PNG)

    assert stored.status_code == 201
    assert fetch(asha.complete(announced["uid"]).json()["data"]["url"]).content == PNG
    assert not part.exists()


def test_an_upload_that_is_let_go_while_it_is_sent_leaves_nothing(owner, folder):
    upload, _ = create_upload(
        owner=owner, filename="me.png", content_type="image/png", size=len(PNG)
    )
    place = PROVIDERS.get("local")

    def chunks():
        yield PNG
        place.delete(upload.incoming_key)

    with pytest.raises(AddressInvalid):
        place.receive(upload.incoming_key, chunks())

    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert (folder / "incoming").stat().st_mode & 0o077 == 0


def test_html_in_the_clothes_of_an_image_is_refused_and_removed(asha):
    announced = asha.announce(SCRIPT)
    assert send(announced, SCRIPT).status_code == 201

    refused = asha.complete(announced["uid"])

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == "type_wrong"
    assert "of a type that is not known here; image/png was announced" in refused.json()["message"]
    assert not is_there(row_of(announced), row_of(announced).incoming_key)
    assert asha.show(announced["uid"]).json()["data"]["url"] is None
    assert asha.complete(announced["uid"]).json()["errors"] == refused.json()["errors"]


def test_another_image_than_announced_is_refused_by_name(asha):
    announced = asha.announce(PDF)
    send(announced, PDF)

    refused = asha.complete(announced["uid"])

    assert refused.json()["message"] == ("The file is application/pdf; image/png was announced.")


def test_a_place_that_is_not_configured_is_not_there(asha, settings):
    announced = asha.announce()
    stored = asha.upload()
    settings.NTC_STORAGE_PROVIDERS = {}

    assert send(announced, PNG).status_code == 404
    assert fetch(stored["url"]).status_code == 404
    assert asha.show(stored["uid"]).json()["data"]["url"] is None
    body = {"filename": "me.png", "content_type": "image/png", "size": 5}
    refused = asha.http.post(UPLOADS, json=body)
    assert refused.status_code == 503
    assert "STORAGE_PROVIDER is not set" in refused.json()["message"]
