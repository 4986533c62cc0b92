"""manage.py notify: files, progress, balances."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_notify.models import Message

from tests.people import PHONE

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path: Path):
    """Return a function that writes a CSV file."""

    def write(*lines: str) -> Path:
        path = tmp_path / "people.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
        return path

    return write


def run(*arguments: object) -> str:
    out = StringIO()
    call_command("notify", *map(str, arguments), stdout=out, stderr=StringIO())
    return out.getvalue()


def send(path: Path, *more: object) -> str:
    return run("send", path, "--kind", "news", "--batch", "b1", "--channel", "sms", *more)


def test_everybody_in_the_file_is_told(sms_company, file):
    said = send(file("phone,title", "0712345678,Bei", '0713000001,"Bei, mpya"'))
    run_due_jobs()

    assert said.split() == ["people", "2", "messages", "2"]
    assert {sms.to: sms.text for sms in sms_company.received} == {
        PHONE: "Habari mpya: Bei",
        "+255713000001": "Habari mpya: Bei, mpya",
    }


def test_same_file_again_says_whom_it_skipped_and_why(sms_company, file, tmp_path):
    path = file("phone,title", "0712345678,Bei", "nonsense,Bei", ",Bei", "0713000001")
    send(path)

    said = send(path, "--skipped", tmp_path / "skipped.csv")

    assert "skipped: already in this batch" in said
    assert "skipped: no address" in said
    assert "skipped: more or fewer fields than the header" in said
    rows = (tmp_path / "skipped.csv").read_text().splitlines()
    assert rows[0] == "key,reason"
    assert "+255712345678,already in this batch" in rows
    assert len(rows) == 5
    assert Message.objects.count() == 1


def test_person_who_is_in_the_file_in_many_spellings_is_told_once(sms_company, file):
    lines = ["0712 345 678,Bei", "+255712345678,Bei", "255712345678,Bei", "0712345678,Bei"]

    said = send(file("phone,title", *lines))
    run_due_jobs()

    assert len(sms_company.received) == 1
    assert said.split()[:2] == ["people", "1"]
    assert "skipped: twice in this call" in said


def test_file_of_semicolons_is_read(sms_company, file):
    """As Excel writes it where the comma is in the numbers."""
    send(file("phone;title", "0712345678;Bei, mpya"))
    run_due_jobs()

    assert [sms.text for sms in sms_company.received] == ["Habari mpya: Bei, mpya"]


def test_odd_rows_keep_nobody_else_from_being_told(sms_company, file):
    lines = [
        "a\0b,0712345671,Bei",
        f"{'k' * 300},0712345672,Bei",
        "n,0712345673,Be\0i",
        "o,07123456745678,Bei",
        '=HYPERLINK("x"),0712345675,=1+1',
    ]

    said = send(file("key,phone,title", *lines))
    run_due_jobs()

    assert [sms.text for sms in sms_company.received] == ["Habari mpya: =1+1"]
    assert said.count("skipped") == 3


@pytest.mark.parametrize("user", ["abc", "-1", "1e3", "9" * 30, "\u00b2", " "])
def test_what_is_no_user_is_skipped(file, user):
    said = run(
        *("send", file("user,text", f"{user},Mvua")),
        *("--kind", "alert", "--batch", "b2", "--channel", "inapp"),
    )

    assert "skipped: There is no such user." in said


def test_user_of_the_file_is_told_in_the_language_of_the_file(file):
    path = file("user,language,text", f"{make_user().pk},en,Rain")
    run("send", path, "--kind", "alert", "--batch", "b2", "--channel", "inapp")

    assert Message.objects.get().notification.language == "en"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("phone,title\n0712345678,caf\xe9\n".encode("latin-1"), "CSV UTF-8"),
        (b"phone,title\n0712345678," + b"x" * 200_000 + b"\n", "field larger than"),
        (b"x" * 200_000, "field larger than"),
    ],
    ids=["latin-1", "huge field", "huge header"],
)
def test_file_that_cannot_be_read_tells_nobody(tmp_path, content, sentence):
    path = tmp_path / "people.csv"
    path.write_bytes(content)

    with pytest.raises(CommandError, match=sentence):
        send(path)

    assert not Message.objects.exists()


def test_users_are_named_by_their_id(sms_company, file):
    user = make_user(email="")
    said = run(
        *("send", file("user,text", f"{user.pk},Mvua", "999999,Mvua")),
        *("--kind", "alert", "--batch", "b2", "--channel", "inapp"),
    )
    run_due_jobs()

    assert "skipped: There is no such user." in said
    assert Message.objects.get().state == "delivered"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ("phone", "missing title"),
        ("title", "needs a column"),
        ("phone,title,age", "surplus age"),
        ("", "needs a column"),
    ],
)
def test_file_that_does_not_fit_tells_nobody(sms_company, file, header, sentence):
    with pytest.raises(CommandError, match=sentence):
        send(file(header, "1,2"))

    assert not Message.objects.exists()


def test_file_or_kind_that_is_not_there(tmp_path, file):
    with pytest.raises(CommandError, match="No such file"):
        send(tmp_path / "nothing.csv")
    with pytest.raises(CommandError, match="NTC_NOTIFY_KINDS has no 'nothing'"):
        run("send", file("phone,title"), "--kind", "nothing", "--batch", "b1")


def test_progress_counts_the_states(sms_company, file):
    send(file("phone,title", "0712345678,Bei", "0713000001,Bei"))

    assert run("progress", "b1").split() == ["queued", "2", "all", "2"]
    run_due_jobs()
    assert run("progress", "b1").split() == ["accepted", "2", "all", "2"]
    with pytest.raises(CommandError, match="no batch 'b9'"):
        run("progress", "b9")


def test_balances(sms_company, settings):
    assert run("balance").split() == ["sms", "alpha", "1,250.5", "SMS"]
    settings.NTC_SMS_PROVIDERS = {}
    with pytest.raises(CommandError, match="tells its balance"):
        run("balance")
