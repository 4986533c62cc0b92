"""Who may upload what; completing, attaching, letting go."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from ntc_core.errors import InvalidInput, NotFound
from ntc_core.outbox.models import OutboxJob
from ntc_core.storage import services
from ntc_core.storage.file_types import clean_filename
from ntc_core.storage.models import Upload
from ntc_core.storage.registry import PROVIDERS
from ntc_core.testing import assert_error, assert_success

from tests.storage.conftest import UPLOADS, fetch, is_there, row_of, send
from tests.storage.samples import PNG


def make_stored(owner: User, **values) -> Upload:
    """Bring a file in without HTTP."""
    details = {"filename": "me.png", "content_type": "image/png", "size": len(PNG)}
    upload, _ = services.create_upload(owner=owner, **details | values)
    PROVIDERS.get("local").receive(upload.incoming_key, [PNG])
    return services.complete_upload(owner=owner, uid=upload.uid)


@pytest.mark.parametrize(
    ("values", "attr"),
    [
        ({"size": 0}, "size"),
        ({"size": -1}, "size"),
        ({"size": 10 * 1024 * 1024 + 1}, "size"),
        ({"size": 2**80}, "size"),
        ({"size": "70"}, "size"),
        ({"size": True}, "size"),
        ({"size": 1.5}, "size"),
        ({"size": None}, "size"),
        ({"content_type": "image/svg+xml"}, "content_type"),
        ({"content_type": "text/html"}, "content_type"),
        ({"content_type": "image/PNG"}, "content_type"),
        ({"content_type": ""}, "content_type"),
        ({"purpose": "invoice"}, "purpose"),
        ({"purpose": None}, "purpose"),
        ({"filename": ""}, "filename"),
        ({"filename": 5}, "filename"),
        ({"filename": "x" * 256}, "filename"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_not_allowed_names_its_field(signed_in_client, values, attr):
    body = {"filename": "me.png", "content_type": "image/png", "size": 70}

    assert_error(signed_in_client.post(UPLOADS, body | values), 400, attr=attr)
    assert not Upload.objects.exists()


def test_each_purpose_has_its_own_types_and_size(signed_in_client, settings):
    settings.NTC_STORAGE_PURPOSES = {"avatar": {"types": ["image/png"], "max_bytes": 100}}
    body = {"filename": "me.png", "content_type": "image/png", "size": 100, "purpose": "avatar"}

    assert assert_success(signed_in_client.post(UPLOADS, body), 201)["purpose"] == "avatar"
    assert_error(signed_in_client.post(UPLOADS, body | {"size": 101}), 400, attr="size")
    gif = body | {"content_type": "image/gif"}
    assert_error(signed_in_client.post(UPLOADS, gif), 400, attr="content_type")


def test_one_user_brings_so_many_files_a_day(api_client, signed_in_client, settings):
    rates = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"] | {"uploads_day": "2/d"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    body = {"filename": "me.png", "content_type": "image/png", "size": 70}
    for _ in range(2):
        assert_success(signed_in_client.post(UPLOADS, body), 201)

    refused = signed_in_client.post(UPLOADS, body)

    assert_error(refused, 429, code="throttled")
    assert int(refused["Retry-After"]) > 60 * 60


def test_the_upload_of_somebody_else_is_not_there(make_person):
    asha, juma = make_person("asha"), make_person("juma")
    announced = asha.announce()
    send(announced, PNG)

    for answer in (juma.show(announced["uid"]), juma.complete(announced["uid"])):
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["code"] == "not_found"
    assert asha.complete(announced["uid"]).status_code == 200
    with pytest.raises(InvalidInput) as refused:
        services.attach_upload(owner=juma.user, uid=announced["uid"])
    assert refused.value.code == "upload_unknown"


def test_strangers_have_no_uploads(api_client, db):
    path = f"{UPLOADS}{uuid4()}/"
    for answer in (
        api_client.post(UPLOADS, {}),
        api_client.get(path),
        api_client.post(f"{path}complete/"),
    ):
        assert_error(answer, 401, code="not_authenticated")


def test_completing_again_is_the_same_answer(asha):
    announced = asha.announce()
    early = asha.complete(announced["uid"])
    assert early.status_code == 409
    assert early.json()["errors"][0]["code"] == "upload_incomplete"
    send(announced, PNG)

    first, second = (asha.complete(announced["uid"]).json()["data"] for _ in range(2))

    changing = {"url", "url_expires_at"}
    assert {k: first[k] for k in first.keys() - changing} == {
        k: second[k] for k in second.keys() - changing
    }
    assert fetch(second["url"]).content == PNG


def test_many_who_complete_at_once_get_one_answer(asha):
    announced = asha.announce()
    send(announced, PNG)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: asha.complete(announced["uid"]), range(16)))

    assert {each.status_code for each in answers} == {200}
    assert {each.json()["data"]["state"] for each in answers} == {"stored"}
    assert fetch(answers[0].json()["data"]["url"]).content == PNG


def test_others_bytes_than_were_looked_at_are_refused(owner):
    """A place where the first address can write twice; S3 without conditional writes."""
    upload, _ = services.create_upload(
        owner=owner, filename="me.png", content_type="image/png", size=len(PNG)
    )
    Upload.objects.filter(pk=upload.pk).update(etag="of the first bytes")
    PROVIDERS.get("local").receive(upload.incoming_key, [PNG])

    with pytest.raises(services.UploadRefused) as refused:
        services.complete_upload(owner=owner, uid=upload.uid)

    assert refused.value.code == "upload_changed"
    assert not is_there(upload, upload.incoming_key)
    assert not is_there(upload, upload.file_key)


def test_an_upload_is_used_once(owner):
    upload = make_stored(owner)

    attached = services.attach_upload(owner=owner, uid=upload.uid)

    assert attached.state == "attached"
    with pytest.raises(InvalidInput) as refused:
        services.attach_upload(owner=owner, uid=upload.uid, attr="avatar")
    assert (refused.value.code, refused.value.attr) == ("upload_used", "avatar")


def test_what_is_not_complete_or_for_something_else_is_not_used(owner):
    pending, _ = services.create_upload(
        owner=owner, filename="me.png", content_type="image/png", size=len(PNG)
    )
    with pytest.raises(InvalidInput) as refused:
        services.attach_upload(owner=owner, uid=pending.uid)
    assert refused.value.code == "upload_incomplete"

    with pytest.raises(InvalidInput) as refused:
        services.attach_upload(owner=owner, uid=make_stored(owner).uid, purpose="avatar")
    assert refused.value.code == "upload_unknown"


def test_what_is_let_go_is_removed_after_the_commit(owner, run_jobs):
    upload = services.attach_upload(owner=owner, uid=make_stored(owner).uid)

    with transaction.atomic():
        services.discard_upload(upload)
        transaction.set_rollback(True)
    run_jobs()
    assert is_there(upload, upload.file_key)
    services.discard_upload(upload)
    services.discard_upload(upload)
    assert is_there(upload, upload.file_key)

    assert OutboxJob.objects.filter(task="ntc_storage.remove_objects").count() == 1
    run_jobs()
    assert not is_there(upload, upload.file_key)
    assert not is_there(upload, upload.incoming_key)
    with pytest.raises(NotFound):
        services.complete_upload(owner=owner, uid=upload.uid)


def test_the_files_of_a_user_who_is_deleted_go_too(owner, run_jobs):
    upload = services.attach_upload(owner=owner, uid=make_stored(owner).uid)

    owner.delete()

    run_jobs()
    assert not is_there(upload, upload.file_key)
    upload.refresh_from_db()
    assert (upload.state, upload.owner_id) == ("deleted", None)


def test_a_file_of_the_service_itself_is_kept_and_read_with_progress(db):
    content = bytes(range(256)) * 1024
    told: list[int] = []

    upload = services.store_file(
        file=io.BytesIO(content),
        filename="taarifa.csv",
        content_type="text/csv",
        purpose="report",
        progress=told.append,
    )

    assert (upload.state, upload.size, upload.owner) == ("stored", len(content), None)
    assert upload.key.endswith(".csv")
    assert told == sorted(told)
    assert len(told) > 1
    assert told[-1] == len(content)
    told.clear()
    with services.open_upload(upload, progress=told.append) as file:
        assert file.read() == content
    assert told[-1] == len(content)


def test_there_is_nothing_to_read_of_what_never_came(owner):
    pending, _ = services.create_upload(
        owner=owner, filename="me.png", content_type="image/png", size=len(PNG)
    )
    with pytest.raises(NotFound):
        services.open_upload(pending)

    stored = make_stored(owner)
    PROVIDERS.get("local").delete(stored.file_key)
    with pytest.raises(NotFound):
        services.open_upload(stored)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("me.png", "me.png"),
        ("me.PNG", "me.PNG"),
        ("me.png.exe", "me.png.exe.png"),
        ("C:\\Users\\asha\\me.png", "me.png"),
        ("../../../etc/passwd", "passwd.png"),
        ("a\r\nSet-Cookie: x=1.png", "aSet-Cookie: x=1.png"),
        ("gnp\u202eexe.png", "gnpexe.png"),
        ("...", "file.png"),
        ("\u0645\u0644\u0641.png", "\u0645\u0644\u0641.png"),
        ("x" * 255, "x" * 150 + ".png"),
    ],
)
def test_names_are_cleaned(given, kept):
    assert clean_filename(given, content_type="image/png") == kept


def test_row_of_says_what_is_in_the_database(asha):
    """No address, and nothing to make one of, is kept."""
    stored = asha.upload()

    row = row_of(stored)
    assert "signature" not in str(row.__dict__)
