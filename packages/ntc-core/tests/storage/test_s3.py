"""S3 against moto's server, behind a door that checks signatures by the tests' own code."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.core.files.base import ContentFile
from ntc_core.outbox.models import OutboxJob
from ntc_core.outbox.services import bring_forward
from ntc_core.storage import services
from ntc_core.storage.errors import StorageUnavailable
from ntc_core.storage.registry import PROVIDERS

from tests.storage import sigv4
from tests.storage.conftest import fetch, is_there, row_of, send
from tests.storage.places import ACCESS_KEY_ID, BUCKET, REGION, SECRET_ACCESS_KEY
from tests.storage.samples import PDF, PNG, SCRIPT

pytest.importorskip("boto3")


def fault_of(announced, content, *, now=None, secret=SECRET_ACCESS_KEY, **headers):
    """Return what S3 would find wrong with this request, or ""."""
    how = announced["send"]
    url = urlsplit(how["url"])
    sent = {"Host": url.netloc, "Content-Length": str(len(content)), **how["headers"], **headers}
    return sigv4.find_fault(
        method="PUT",
        target=f"{url.path}?{url.query}",
        headers=sent,
        body=content,
        secrets={ACCESS_KEY_ID: secret},
        region=REGION,
        now=now,
    )


def test_a_file_goes_there_and_comes_back(asha, s3):
    stored = asha.upload(PDF, content_type="application/pdf", filename="Mkataba.pdf")

    assert stored["state"] == "stored"
    answer = fetch(stored["url"])
    assert answer.content == PDF
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Mkataba.pdf"'
    assert fetch(stored["url"].partition("?")[0]).status_code == 403


def test_a_file_is_saved_under_its_name_in_any_language(asha, s3):
    name = 'Picha ya "Eid" \u2013 \u0645\u062d\u0645\u062f & Asha; 50%.png'

    stored = asha.upload(PNG, filename=name)

    said = fetch(stored["url"]).headers["Content-Disposition"]
    assert said == f"inline; filename*=utf-8''{quote(name)}"


def test_the_signature_binds_key_length_type_time_and_that_it_writes_once(asha, s3):
    """By the verifier alone: moto would take anything."""
    announced = asha.announce(PNG)

    assert fault_of(announced, PNG) == ""
    assert set(
        parse_qs(urlsplit(announced["send"]["url"]).query)["X-Amz-SignedHeaders"][0].split(";")
    ) == {"content-length", "content-type", "host", "if-none-match"}
    wrong = "SignatureDoesNotMatch"
    assert fault_of(announced, PNG + b"x") == wrong
    assert fault_of(announced, PNG, **{"Content-Type": "text/html"}) == wrong
    assert fault_of(announced, PNG, **{"If-None-Match": "x"}) == wrong
    assert fault_of(announced, PNG, secret="another") == wrong
    assert fault_of(announced, PNG, **{"x-amz-acl": "public-read"}) == "AccessDenied"
    later = datetime.now(UTC) + timedelta(minutes=16)
    assert fault_of(announced, PNG, now=later) == "AccessDenied"
    announced["send"]["url"] = announced["send"]["url"].replace("/incoming/", "/files/")
    assert fault_of(announced, PNG) == wrong


def test_what_the_signature_does_not_cover_is_not_taken(asha, s3):
    announced = asha.announce(PNG)

    assert send(announced, PNG + b"x").status_code == 403
    assert send(announced, PNG, **{"Content-Type": "text/html"}).status_code == 403
    assert asha.complete(announced["uid"]).status_code == 409
    assert send(announced, PNG).status_code == 200
    assert send(announced, PNG).status_code == 412
    stored = asha.complete(announced["uid"]).json()["data"]
    assert send(announced, PNG).status_code == 412
    assert fetch(f"{stored['url']}0").status_code == 403
    assert fetch(stored["url"].replace("inline", "x")).status_code == 403


def test_what_is_not_what_it_says_is_refused_and_removed(asha, s3):
    announced = asha.announce(SCRIPT)
    assert send(announced, SCRIPT).status_code == 200

    refused = asha.complete(announced["uid"])

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["code"] == "type_wrong"
    upload = row_of(announced)
    assert not is_there(upload, upload.incoming_key)
    assert not is_there(upload, upload.file_key)


def test_another_size_is_refused_where_the_service_let_it_through(asha, s3):
    announced = asha.announce(PNG)
    upload = row_of(announced)
    PROVIDERS.get("s3").write(
        upload.incoming_key, io.BytesIO(PNG + b"x"), content_type="image/png", progress=None
    )

    refused = asha.complete(announced["uid"])

    assert refused.status_code == 422
    assert refused.json()["message"] == (
        f"The file has {len(PNG) + 1} bytes; {len(PNG)} were announced."
    )
    assert not is_there(upload, upload.incoming_key)


@pytest.mark.parametrize("content", [b"", PNG])
def test_an_empty_object_is_an_object(s3, content):
    place = PROVIDERS.get("s3")
    key = f"incoming/{'0' * 32}.png"
    place.write(key, io.BytesIO(content), content_type="image/png", progress=None)

    found = place.inspect(key, head_bytes=8)

    assert (found.size, found.head) == (len(content), content[:8])
    place.delete(key)
    place.delete(key)
    assert place.inspect(key, head_bytes=8) is None


def test_what_was_checked_cannot_be_replaced_where_addresses_write_twice(asha, s3):
    """A service that only speaks like S3, and does not know `If-None-Match`."""
    s3.is_lenient = True
    announced = asha.announce(PNG)
    send(announced, PNG)
    stored = asha.complete(announced["uid"]).json()["data"]
    other = PNG[:-1] + b"\x00"

    assert send(announced, other).status_code == 200

    assert fetch(stored["url"]).content == PNG
    assert asha.complete(announced["uid"]).json()["data"]["state"] == "stored"
    assert fetch(asha.show(announced["uid"]).json()["data"]["url"]).content == PNG


def test_what_is_copied_is_what_was_looked_at(s3):
    place = PROVIDERS.get("s3")
    source, target = (f"{folder}/{'1' * 32}.png" for folder in ("incoming", "files"))
    place.write(source, io.BytesIO(PNG), content_type="image/png", progress=None)
    looked_at = place.inspect(source, head_bytes=8)
    place.write(source, io.BytesIO(SCRIPT), content_type="image/png", progress=None)

    with pytest.raises(services.ObjectChanged):
        place.copy(source=source, target=target, etag=looked_at.etag, content_type="image/png")
    assert place.inspect(target, head_bytes=8) is None
    place.delete(source)
    with pytest.raises(services.ObjectChanged):
        place.copy(source=source, target=target, etag=looked_at.etag, content_type="image/png")


def test_many_who_complete_at_once_get_one_answer(asha, s3):
    announced = asha.announce(PNG)
    send(announced, PNG)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asha.complete(announced["uid"]), range(12)))

    assert {each.status_code for each in answers} == {200}
    assert fetch(answers[0].json()["data"]["url"]).content == PNG


def test_while_it_does_not_answer_nothing_is_decided(asha, s3, caplog):
    announced = asha.announce(PNG)
    send(announced, PNG)
    s3.is_down = True

    with caplog.at_level("WARNING"):
        refused = asha.complete(announced["uid"])

    assert refused.status_code == 503
    (line,) = [each for each in caplog.records if each.message == "storage.unavailable"]
    assert (line.provider, line.error) == ("s3", "InternalError")
    assert refused.json()["errors"][0]["code"] == "storage_unavailable"
    assert len([call for call in s3.calls if call.startswith("GET")]) == 1
    s3.is_down = False
    assert asha.complete(announced["uid"]).json()["data"]["state"] == "stored"


def test_refused_bytes_that_cannot_be_removed_at_once_are_removed_by_a_job(asha, s3, run_jobs):
    announced = asha.announce(SCRIPT)
    send(announced, SCRIPT)
    upload = row_of(announced)
    s3.keeps_everything = True

    assert asha.complete(announced["uid"]).status_code == 422
    assert is_there(upload, upload.incoming_key)
    run_jobs()
    assert is_there(upload, upload.incoming_key)

    s3.keeps_everything = False
    bring_forward(OutboxJob.objects.all())
    run_jobs()
    assert not is_there(upload, upload.incoming_key)


def test_a_bucket_that_is_missing_is_not_an_upload_that_is(asha, s3, settings):
    announced = asha.announce(PNG)
    options = settings.NTC_STORAGE_PROVIDERS["s3"] | {"bucket": "another"}
    settings.NTC_STORAGE_PROVIDERS = {"s3": options}

    assert asha.complete(announced["uid"]).status_code == 503


def test_large_files_of_the_service_go_in_parts_with_progress(s3, db):
    content = bytes(range(256)) * (80 * 1024)
    told: list[int] = []

    upload = services.store_file(
        file=io.BytesIO(content),
        filename="taarifa.csv",
        content_type="text/csv",
        progress=told.append,
    )

    assert upload.size == len(content)
    assert any(call.startswith("POST") for call in s3.calls)
    assert told == sorted(told)
    assert (len(told) > 2, told[-1]) == (True, len(content))
    told.clear()
    with services.open_upload(upload, progress=told.append) as file:
        assert file.read() == content
    assert told[-1] == len(content)
    s3.is_down = True
    with pytest.raises(StorageUnavailable):
        services.open_upload(upload)


def test_djangos_own_storage_keeps_to_its_own_part_of_the_bucket(s3, settings):
    from django.core.files.storage import storages  # noqa: PLC0415 - after the settings
    from ntc_core.storage.settings import storage_settings  # noqa: PLC0415

    values = {
        "STORAGE_PROVIDER": "s3",
        "S3_BUCKET": BUCKET,
        "S3_ENDPOINT_URL": s3.url,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
    }
    choice = storage_settings(lambda name: values.get(name, ""))
    settings.STORAGES = settings.STORAGES | {"default": choice.django_storage}

    storage = storages["default"]
    name = storage.save("picha/moja.txt", ContentFile(b"habari"))
    second = storage.save("picha/moja.txt", ContentFile(b"nyingine"))

    assert name == "picha/moja.txt"
    assert second != name
    with storage.open(name) as file:
        assert file.read() == b"habari"
    assert fetch(storage.url(name)).content == b"habari"
    assert fetch(storage.url(name).partition("?")[0]).status_code == 403
    assert f"PUT /{BUCKET}/media/picha/moja.txt" in s3.calls
    storage.delete(name)
    assert not storage.exists(name)
