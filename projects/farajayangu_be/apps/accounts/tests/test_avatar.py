"""The picture of a person: sent, chosen, shown, replaced, removed."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from ntc_core.storage.models import Upload
from ntc_core.testing import assert_error, assert_success
from ntc_core.testing.plugin import make_client
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import User

from .conftest import API, EMAIL

ME = f"{API}/accounts/me/"
UPLOADS = f"{API}/uploads/"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def announce(client: APIClient, **values: Any) -> dict[str, Any]:
    body = {
        "filename": "asha.png",
        "content_type": "image/png",
        "size": len(PNG),
        "purpose": "avatar",
    }
    announced: dict[str, Any] = assert_success(client.post(UPLOADS, body | values), 201)
    sent = make_client().put(announced["send"]["url"], PNG, content_type="image/png")
    assert sent.status_code == 201
    return announced


def upload(client: APIClient, **values: Any) -> str:
    """Send a picture and return the uid of its completed upload."""
    uid: str = announce(client, **values)["uid"]
    assert_success(client.post(f"{UPLOADS}{uid}/complete/"))
    return uid


def show(url: str) -> bytes | None:
    """Read an address as somebody does who is not signed in."""
    answer = make_client().get(url)
    return b"".join(answer.streaming_content) if answer.status_code == 200 else None


def test_a_picture_is_chosen_shown_and_removed(signed_in, run_jobs):
    assert assert_success(signed_in.get(ME))["avatar"] is None
    uid = upload(signed_in)

    chosen = assert_success(signed_in.patch(ME, {"avatar": uid}))

    assert show(chosen["avatar"]) == PNG
    shown = assert_success(signed_in.get(ME))["avatar"]
    assert show(shown) == PNG
    assert_success(signed_in.patch(ME, {"full_name": "Asha"}))
    assert assert_success(signed_in.patch(ME, {"avatar": uid}))["avatar"] is not None
    assert Upload.objects.get(uid=uid).state == "attached"
    assert assert_success(signed_in.patch(ME, {"avatar": None}))["avatar"] is None
    run_jobs()
    assert show(shown) is None
    assert assert_success(signed_in.patch(ME, {"avatar": None}))["avatar"] is None


def test_the_picture_before_is_removed(signed_in, run_jobs):
    first = assert_success(signed_in.patch(ME, {"avatar": upload(signed_in)}))["avatar"]

    second = assert_success(signed_in.patch(ME, {"avatar": upload(signed_in)}))["avatar"]

    run_jobs()
    assert show(first) is None
    assert show(second) == PNG


def test_only_ones_own_complete_upload_for_that_purpose_is_a_picture(signed_in, api_client, login):
    mine = upload(signed_in)
    assert_success(signed_in.patch(ME, {"avatar": mine}))
    other = User.objects.create_user(email="juma@example.com")
    client = make_client()
    client.force_authenticate(other)
    wrong = {
        upload(client): "upload_unknown",
        str(uuid4()): "upload_unknown",
        upload(signed_in, purpose="file"): "upload_unknown",
        announce(signed_in)["uid"]: "upload_incomplete",
        "me.png": "invalid",
        "": "invalid",
    }

    for uid, code in wrong.items():
        assert_error(signed_in.patch(ME, {"avatar": uid}), 400, code=code, attr="avatar")

    assert_error(signed_in.patch(ME, {"avatar": 5}), 400, attr="avatar")
    assert str(User.objects.get(email=EMAIL).avatar.uid) == mine
    assert_error(client.patch(ME, {"avatar": mine}), 400, code="upload_unknown")


def test_a_refused_change_attaches_nothing(signed_in):
    uid = upload(signed_in)

    assert_error(signed_in.patch(ME, {"avatar": uid, "language": "de"}), 400, attr="language")

    assert Upload.objects.get(uid=uid).state == "stored"


def test_a_picture_is_an_image_of_a_few_megabytes(signed_in):
    body = {"filename": "a", "content_type": "image/png", "size": 100, "purpose": "avatar"}
    pdf = body | {"content_type": "application/pdf"}

    assert_error(signed_in.post(UPLOADS, pdf), 400, attr="content_type")
    assert_error(signed_in.post(UPLOADS, body | {"size": 6_000_000}), 400, attr="size")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_pictures_that_are_chosen_at_once_one_is_left(person, run_jobs):
    client = make_client()
    client.force_authenticate(person)
    uids = [upload(client) for _ in range(6)]

    def choose(uid: str) -> None:
        services.update_user(User.objects.get(), avatar=Upload.objects.get(uid=uid).uid)
        connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(choose, uids))

    run_jobs()
    (left,) = Upload.objects.filter(state="attached")
    assert User.objects.get().avatar == left
    assert Upload.objects.filter(state="deleted").count() == 5


def test_the_picture_of_a_person_who_is_deleted_is_removed(signed_in, run_jobs):
    shown = assert_success(signed_in.patch(ME, {"avatar": upload(signed_in)}))["avatar"]

    User.objects.get().delete()

    run_jobs()
    assert show(shown) is None
