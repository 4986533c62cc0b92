"""One-time codes: few tries, a short life, one use, and nothing to read in the database."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from ntc_core.auth.errors import CodeInvalid
from ntc_core.auth.models import AuditEvent, OneTimeCode
from ntc_core.auth.services import (
    announce_code,
    code_secrets,
    issue_code,
    redeem_code,
    refuse_code,
    reveal_code,
    withdraw_codes,
)
from ntc_core.auth.signals import code_issued
from ntc_core.errors import NotFound, RateLimited

from tests.auth.conftest import wrong

PHONE = "+255712345678"


def redeem(code: str, **values: str) -> OneTimeCode:
    return redeem_code(**{"purpose": "registration", "destination": PHONE, "code": code, **values})


def later(**delta: float) -> time_machine.travel:
    return time_machine.travel(datetime.now(tz=UTC) + timedelta(**delta))


def test_right_code_is_accepted_once(issue):
    code = reveal_code(issue(context={"a": 1}).uid)

    redeemed = redeem(code)

    assert redeemed.used_at is not None
    assert redeemed.context == {"a": 1}
    with pytest.raises(CodeInvalid):
        redeem(code)


def test_code_has_six_digits_with_leading_zeros_and_varies(issue):
    codes = {reveal_code(issue(destination=f"+2557120000{number:02d}").uid) for number in range(40)}

    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert len(codes) > 35


def test_wrong_code_names_the_field(issue):
    code = reveal_code(issue().uid)

    with pytest.raises(CodeInvalid) as caught:
        redeem(wrong(code))

    assert caught.value.attr == "code"
    assert caught.value.http_status == 400


@pytest.mark.parametrize("text", ["", "12345", "1234567", "\U0001f600" * 6, "١٢٣٤٥٦", "x" * 10_000])
def test_what_is_not_a_code_is_just_wrong(issue, text):
    issue()

    with pytest.raises(CodeInvalid):
        redeem(text)


def test_sixth_try_is_refused_even_with_the_right_code(issue):
    challenge = issue()
    code = reveal_code(challenge.uid)
    for _ in range(5):
        with pytest.raises(CodeInvalid):
            redeem(wrong(code))

    with pytest.raises(CodeInvalid):
        redeem(code)

    challenge.refresh_from_db()
    assert challenge.tries == 5
    assert challenge.used_at is None


def test_fifth_try_still_counts(issue):
    code = reveal_code(issue().uid)
    for _ in range(4):
        with pytest.raises(CodeInvalid):
            redeem(wrong(code))

    assert redeem(code)


def test_code_lives_five_minutes(issue):
    code = reveal_code(issue().uid)

    with later(minutes=5, seconds=1), pytest.raises(CodeInvalid):
        redeem(code)
    with later(minutes=4, seconds=58):
        assert redeem(code)


def test_new_code_kills_the_old(issue):
    old = issue()
    old_code = reveal_code(old.uid)
    with later(seconds=61):
        new_code = reveal_code(issue().uid)
        if old_code != new_code:
            with pytest.raises(CodeInvalid):
                redeem(old_code)
        with pytest.raises(NotFound):
            reveal_code(old.uid)

        assert redeem(new_code)


@pytest.mark.parametrize(
    "other",
    [
        {"purpose": "password_reset"},
        {"destination": "+255712345679"},
        {"subject": "another registration"},
    ],
    ids=str,
)
def test_code_is_good_for_its_own_purpose_destination_and_subject_only(issue, other):
    """Even where the other one has an open code of its own."""
    challenge = issue(subject="one registration")
    code = reveal_code(challenge.uid)
    if "subject" not in other:
        other_code = reveal_code(issue(**{"subject": "one registration", **other}).uid)
        assert other_code != code

    with pytest.raises(CodeInvalid):
        redeem(code, **{"subject": "one registration", **other})

    challenge.refresh_from_db()
    assert challenge.tries == 0
    assert redeem(code, subject="one registration")


def test_code_of_another_subject_replaces_nothing_and_is_not_made_to_wait(issue):
    """Or anybody who registers a phone would kill the code its owner is typing."""
    first = issue(subject="first")

    second = issue(subject="second")

    assert redeem(reveal_code(first.uid), subject="first")
    assert redeem(reveal_code(second.uid), subject="second")


def test_wait_between_codes_doubles(issue):
    """60, 120, 240, 480 seconds; the answer says how long."""
    moment = datetime.now(tz=UTC)
    for wait in (60, 120, 240, 480):
        with time_machine.travel(moment, tick=False):
            assert issue().resend_at == moment + timedelta(seconds=wait)
        with (
            time_machine.travel(moment + timedelta(seconds=wait - 1), tick=False),
            pytest.raises(RateLimited) as caught,
        ):
            issue()
        assert 1 <= caught.value.retry_after_seconds <= 2
        moment += timedelta(seconds=wait)


def test_refused_code_leaves_the_old_one_alive(issue):
    code = reveal_code(issue().uid)

    with pytest.raises(RateLimited):
        issue()

    assert redeem(code)


def test_wait_starts_anew_after_a_redeemed_code(issue):
    redeem(reveal_code(issue().uid))

    assert issue()


def test_five_codes_an_hour_per_destination_whatever_the_subject(issue):
    start = datetime.now(tz=UTC)
    for number in range(5):
        issue(subject=f"registration {number}")

    with pytest.raises(RateLimited) as caught:
        issue(subject="one more")
    issue(subject="one more", destination="+255712345679")

    assert 3590 < caught.value.retry_after_seconds <= 3601
    with time_machine.travel(start + timedelta(hours=1, seconds=5)):
        assert issue(subject="one more")


def test_codes_for_one_purpose_leave_those_for_another_alone(issue):
    """Who signs up a stranger's phone does not keep its owner from a new password."""
    for number in range(5):
        issue(subject=f"registration {number}")

    assert redeem(reveal_code(issue(purpose="reset").uid), purpose="reset")


def test_database_does_not_hold_the_code(issue, settings):
    """The same row gives other digits under another pepper."""
    challenges = [issue(destination=f"+2557120000{number:02d}") for number in range(20)]
    codes = [reveal_code(challenge.uid) for challenge in challenges]

    settings.NTC_CODE_PEPPER = "another pepper"

    others = [reveal_code(challenge.uid) for challenge in challenges]
    assert sum(code == other for code, other in zip(codes, others, strict=True)) < 3
    for challenge, code in zip(challenges, codes, strict=True):
        challenge.refresh_from_db()
        fields = {**vars(challenge), "nonce": bytes(challenge.nonce)}
        assert code not in (str(value) for value in fields.values())


def test_reveal_refuses_what_cannot_be_redeemed(issue):
    challenge = issue()
    redeem(reveal_code(challenge.uid))

    for uid in (challenge.uid, uuid.uuid4(), "not a uid"):
        with pytest.raises(NotFound):
            reveal_code(uid)


def test_reveal_refuses_an_expired_code(issue):
    challenge = issue()

    with later(minutes=6), pytest.raises(NotFound):
        reveal_code(challenge.uid)


def test_code_secrets_serve_a_message(issue):
    challenge = issue()

    assert code_secrets({"challenge": str(challenge.uid)}) == {"code": reveal_code(challenge.uid)}


def test_receiver_gets_the_challenge_and_can_undo_it(issue):
    """What carries the code fails: there is no code, and none was counted."""

    def fail(*, challenge: OneTimeCode, **_: object) -> None:
        assert challenge.pk
        raise OSError("no room for the message")

    code_issued.connect(fail)
    try:
        with pytest.raises(OSError, match="no room"):
            issue()
    finally:
        code_issued.disconnect(fail)

    assert not OneTimeCode.objects.exists()


def test_silent_code_is_announced_to_nobody_and_counts_like_any(issue):
    heard = []

    def listen(**sent: object) -> None:
        heard.append(sent)

    code_issued.connect(listen)
    try:
        issue(announce=False)
        with pytest.raises(RateLimited):
            issue(announce=False)
    finally:
        code_issued.disconnect(listen)

    assert heard == []


def test_silent_code_can_be_announced_while_it_counts(issue):
    heard = []

    def listen(*, challenge: OneTimeCode, **_: object) -> None:
        heard.append(challenge.pk)

    challenge = issue(announce=False)
    code_issued.connect(listen)
    try:
        announce_code(challenge)
        with later(minutes=6):
            announce_code(challenge)
    finally:
        code_issued.disconnect(listen)

    assert heard == [challenge.pk]


def test_code_goes_with_its_user(issue):
    user = User.objects.create_user(username="asha")
    assert str(issue(user=user)) == str(OneTimeCode.objects.get().uid)

    user.delete()

    assert not OneTimeCode.objects.exists()


def test_log_lines_hold_neither_code_nor_address(issue, caplog):
    caplog.set_level(logging.INFO)
    phone_code = reveal_code(issue().uid)
    email_code = reveal_code(issue(destination="asha@example.com", channel="email").uid)
    with pytest.raises(CodeInvalid):
        redeem(wrong(phone_code))
    redeem(phone_code)

    events = [record.getMessage() for record in caplog.records]
    logged = "\n".join(str({**vars(record), "created": 0, "msecs": 0}) for record in caplog.records)
    assert events == ["code.issued", "code.issued", "code.refused", "code.redeemed"]
    for secret in (PHONE, "asha@", f"'{phone_code}'", f"'{email_code}'", f"'{wrong(phone_code)}'"):
        assert secret not in logged


@pytest.mark.django_db(transaction=True)
def test_redeeming_inside_a_transaction_is_refused_loudly(issue):
    """Or the rollback of a wrong guess would give the try back."""
    code = reveal_code(issue().uid)

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        redeem(wrong(code))


def test_two_open_codes_cannot_exist(issue):
    challenge = issue()

    challenge.pk = None
    challenge.uid = uuid.uuid4()

    with pytest.raises(IntegrityError), transaction.atomic():
        challenge.save(force_insert=True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("destination", "masked"), [(PHONE, "+2557****678"), ("asha@example.com", "a***@e***")]
)
def test_a_guess_where_no_code_is_open_is_refused_and_recorded(destination, masked):
    with pytest.raises(CodeInvalid):
        redeem("000000", destination=destination)

    row = AuditEvent.objects.get()
    assert row.event == "code.refused"
    assert row.details == {"purpose": "registration", "destination": masked}


@pytest.mark.django_db
def test_a_code_needs_neither_subject_nor_person():
    challenge = issue_code(purpose="p", destination="a@b.tz", channel="email")

    assert (challenge.subject, challenge.user) == ("", None)


def test_what_belongs_to_a_code_is_stored_with_it_before_it_is_announced(issue):
    order = []

    def listen(**_: object) -> None:
        order.append("announced")

    code_issued.connect(listen)
    try:
        challenge = issue(alongside=lambda challenge: order.append(challenge.pk))
    finally:
        code_issued.disconnect(listen)

    assert order == [challenge.pk, "announced"]


def test_what_belongs_to_a_refused_code_is_not_stored(issue):
    issue()

    with pytest.raises(RateLimited):
        issue(alongside=lambda challenge: User.objects.create_user(username=str(challenge.uid)))

    assert not User.objects.exists()


def test_a_code_whose_companion_cannot_be_stored_does_not_exist(issue):
    User.objects.create_user(username="asha")

    with pytest.raises(IntegrityError):
        issue(alongside=lambda _: User.objects.create_user(username="asha"))

    assert not OneTimeCode.objects.exists()


def test_a_project_refuses_for_reasons_of_its_own(person):
    with pytest.raises(CodeInvalid):
        refuse_code(purpose="registration", user=person)

    row = AuditEvent.objects.get()
    assert (row.event, row.user) == ("code.refused", person)


def test_withdrawn_codes_are_worthless_and_others_are_not(issue, person):
    mine = issue(user=person)
    code = reveal_code(mine.uid)
    other = issue(destination="+255712345679")

    assert withdraw_codes(user=person) == 1

    with pytest.raises(CodeInvalid):
        redeem(code)
    assert redeem(reveal_code(other.uid), destination="+255712345679")
