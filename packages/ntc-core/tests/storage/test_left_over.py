"""What nobody completes or uses is removed, and nothing stays behind, whenever a process dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from ntc_core.outbox.services import run_due_jobs
from ntc_core.storage import services
from ntc_core.storage.models import Upload
from ntc_core.storage.registry import PROVIDERS
from ntc_core.storage.tasks import tidy
from ntc_core.testing import assert_error

from tests.outbox.processes import PACKAGE
from tests.storage.conftest import UPLOADS, is_there
from tests.storage.samples import PNG, SCRIPT

KILLED = 137


def begin(owner: User, content: bytes = PNG) -> Upload:
    upload, _ = services.create_upload(
        owner=owner, filename="me.png", content_type="image/png", size=len(content)
    )
    PROVIDERS.get("local").receive(upload.incoming_key, [content])
    return upload


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def tidy_after(hours: float) -> None:
    with time_machine.travel(timezone.now() + timedelta(hours=hours), tick=False):
        tidy()
        run_due_jobs()


def test_what_is_not_used_within_a_day_is_removed_and_then_forgotten(owner, folder):
    pending = begin(owner)
    stored = begin(owner)
    used = begin(owner)
    for upload in (stored, used):
        services.complete_upload(owner=owner, uid=upload.uid)
    services.attach_upload(owner=owner, uid=used.uid)
    assert len(files_in(folder)) == 5

    tidy_after(23)
    assert len(files_in(folder)) == 5
    tidy_after(25)

    assert files_in(folder) == [used.file_key]
    states = dict(Upload.objects.values_list("pk", "state"))
    assert states == {pending.pk: "deleted", stored.pk: "deleted", used.pk: "attached"}
    tidy_after(50)
    assert list(Upload.objects.values_list("pk", flat=True)) == [used.pk]
    assert is_there(used, used.file_key)


def test_who_completes_late_has_a_day_to_use_it(owner):
    upload = begin(owner)
    with time_machine.travel(timezone.now() + timedelta(hours=23), tick=False):
        services.complete_upload(owner=owner, uid=upload.uid)

    tidy_after(30)

    assert services.attach_upload(owner=owner, uid=upload.uid).state == "attached"


def test_what_arrives_after_its_row_was_let_go_is_removed_with_the_row(owner, folder):
    """A client may begin to send just before the address ends, and be slow."""
    upload = begin(owner)
    services.discard_upload(upload)
    run_due_jobs()
    assert files_in(folder) == []
    place = PROVIDERS.get("local")
    place.receive(upload.incoming_key, [PNG])
    etag = place.inspect(upload.incoming_key, head_bytes=1).etag
    # And another call may be about to copy.
    place.copy(source=upload.incoming_key, target=upload.file_key, etag=etag, content_type="")

    tidy_after(25)

    assert files_in(folder) == []
    assert not Upload.objects.exists()


def test_a_place_that_is_not_configured_any_more_does_not_stop_the_rest(owner, folder):
    elsewhere = begin(owner)
    Upload.objects.filter(pk=elsewhere.pk).update(provider="s3")
    here = begin(owner)

    tidy_after(25)

    assert dict(Upload.objects.values_list("pk", "state")) == {
        elsewhere.pk: "pending",
        here.pk: "deleted",
    }


def test_what_was_let_go_is_not_there_any_more(signed_in_client, user):
    upload = begin(user)
    tidy_after(25)

    assert_error(signed_in_client.get(f"{UPLOADS}{upload.uid}/"), 404)
    assert_error(signed_in_client.post(f"{UPLOADS}{upload.uid}/complete/"), 404)


def run_and_die(settings, at: str, action: str, owner: User, uid: str = "") -> None:
    options = json.dumps(settings.NTC_STORAGE_PROVIDERS["local"])
    database = str(connection.settings_dict["NAME"])
    arguments = [database, options, action, str(owner.pk), *filter(None, [uid])]
    process = subprocess.run(
        [sys.executable, "-m", "tests.storage.doer", *arguments],
        cwd=PACKAGE,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "NTC_FAILPOINT": at},
        check=False,
    )
    assert process.returncode == KILLED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("at", ["storage.looked", "storage.copied"])
def test_who_completes_after_a_kill_gets_the_same_file(settings, folder, owner, at):
    upload = begin(owner)

    run_and_die(settings, at, "complete", owner, str(upload.uid))
    completed = services.complete_upload(owner=owner, uid=upload.uid)

    assert completed.state == "stored"
    assert (folder / upload.file_key).read_bytes() == PNG


@pytest.mark.django_db(transaction=True)
def test_after_a_kill_nothing_stays_that_no_row_names(settings, folder, owner):
    first, second = begin(owner), begin(owner, SCRIPT)

    run_and_die(settings, "storage.copied", "complete", owner, str(first.uid))
    run_and_die(settings, "storage.refused", "complete", owner, str(second.uid))
    run_and_die(settings, "storage.written", "store", owner)

    assert len(files_in(folder)) == 4
    assert run_due_jobs() == 1
    assert len(files_in(folder)) == 3
    tidy_after(25)
    assert files_in(folder) == []
    tidy_after(50)
    assert not Upload.objects.exists()
