"""What `SessionUserMixin` does for a user model. The admin with it is in the project's tests."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from ntc_core.auth import services
from ntc_core.auth.errors import CodeInvalid, CredentialsInvalid
from ntc_core.auth.models import AuditEvent, EndReason
from ntc_core.auth.users import SessionUserMixin, end_django_sessions

from tests.auth.conftest import PASSWORD

NEW_PASSWORD = "another-password"
BETTER_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.MD5PasswordHasher",
]


class Clerk(SessionUserMixin, User):
    """A user as a project would make one, beside Django's, which the other tests use."""

    class Meta:
        app_label = "clerks"  # of no installed app: its table is there for this module alone


@pytest.fixture(scope="module", autouse=True)
def _table_of_clerks(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        with connection.schema_editor() as editor:
            editor.create_model(Clerk)
        yield
        with connection.schema_editor() as editor:
            editor.delete_model(Clerk)


def new_clerk(username):
    # The manager's create_user() looks the model up among the installed apps.
    return Clerk.objects.create(username=username, password=make_password(PASSWORD))


@pytest.fixture
def clerk(db):
    return new_clerk("asha")


def reasons():
    rows = AuditEvent.objects.filter(event="auth.logout_all").order_by("pk")
    return [row.details["reason"] for row in rows]


def stored(clerk):
    return Clerk.objects.get(pk=clerk.pk)


@pytest.mark.parametrize("password", [NEW_PASSWORD, None])
def test_a_saved_password_ends_the_sessions_once(clerk, password):
    session = services.sign_in(user=clerk).session
    before = clerk.get_session_auth_hash()
    clerk.password = make_password(password)

    clerk.save()
    clerk.save()

    session.refresh_from_db()
    assert session.revoked_reason == EndReason.PASSWORD_CHANGED
    assert reasons() == ["password_changed"]
    assert stored(clerk).get_session_auth_hash() == clerk.get_session_auth_hash() != before


def test_the_session_that_asks_goes_on(clerk):
    mine, other = (services.sign_in(user=clerk).session for _ in range(2))
    clerk.set_password(NEW_PASSWORD)

    clerk.save(except_session=mine)

    mine.refresh_from_db()
    other.refresh_from_db()
    assert mine.is_live
    assert not other.is_live


def test_a_code_from_before_is_no_way_past_a_new_password(clerk, issue):
    challenge = issue(user=clerk)
    code = services.reveal_code(challenge.uid)
    clerk.set_password(NEW_PASSWORD)

    clerk.save()

    with pytest.raises(CodeInvalid):
        services.redeem_code(purpose="registration", destination=challenge.destination, code=code)


def test_a_failed_save_ends_nothing(clerk):
    session = services.sign_in(user=clerk).session
    new_clerk("juma")
    clerk.set_password(NEW_PASSWORD)
    clerk.username = "juma"

    with pytest.raises(IntegrityError), transaction.atomic():
        clerk.save()

    session.refresh_from_db()
    assert session.is_live
    assert reasons() == []


def test_who_is_switched_off_does_not_come_back_signed_in(clerk):
    session = services.sign_in(user=clerk).session
    before = clerk.get_session_auth_hash()

    for clerk.is_active in (False, True):
        clerk.save(update_fields=["is_active"])

    session.refresh_from_db()
    assert session.revoked_reason == EndReason.STAFF
    assert stored(clerk).get_session_auth_hash() != before
    assert reasons() == ["staff"]


@pytest.mark.parametrize("fields", [None, ["username"], ["password"]], ids=str)
def test_a_save_without_such_a_change_ends_nothing(clerk, fields):
    session = services.sign_in(user=clerk).session

    clerk.save(update_fields=fields)

    session.refresh_from_db()
    assert session.is_live
    assert reasons() == []


def test_what_is_not_saved_ends_nothing(clerk):
    session = services.sign_in(user=clerk).session
    clerk.set_password(NEW_PASSWORD)
    clerk.is_active = False

    clerk.save(update_fields=["username"])

    session.refresh_from_db()
    assert session.is_live
    assert reasons() == []


def test_what_was_not_loaded_is_not_compared(clerk, django_assert_max_num_queries):
    services.sign_in(user=clerk)
    partly = Clerk.objects.defer("password", "is_active").get(pk=clerk.pk)
    names_only = Clerk.objects.only("username").get(pk=clerk.pk)

    partly.save()
    with django_assert_max_num_queries(9) as captured:
        names_only.save()

    assert not [query for query in captured.captured_queries if "SELECT" in query["sql"]]
    assert names_only.get_deferred_fields() >= {"password", "is_active", "session_epoch"}
    assert reasons() == []


def test_a_copy_that_was_read_earlier_brings_no_session_back(clerk):
    copy = stored(clerk)
    end_django_sessions(clerk)

    copy.save()

    assert stored(clerk).session_epoch == copy.session_epoch == clerk.session_epoch == 1


@pytest.mark.parametrize(
    "call",
    [lambda user: user.check_password, lambda user: async_to_sync(user.acheck_password)],
    ids=["plain", "coroutine"],
)
def test_a_hash_of_another_kind_is_no_other_password(clerk, settings, call):
    session = services.sign_in(user=clerk).session
    settings.PASSWORD_HASHERS = BETTER_HASHERS

    assert call(clerk)(PASSWORD)

    session.refresh_from_db()
    assert session.is_live
    assert stored(clerk).password == clerk.password
    assert clerk.password.startswith("pbkdf2_sha256$")


def test_a_hash_made_anew_never_brings_an_old_password_back(clerk, settings):
    """Somebody compares the old password while it is being changed."""
    comparing = stored(clerk)
    clerk.set_password(NEW_PASSWORD)
    clerk.save()
    settings.PASSWORD_HASHERS = BETTER_HASHERS

    assert comparing.check_password(PASSWORD)

    assert stored(clerk).check_password(NEW_PASSWORD)
    with pytest.raises(CredentialsInvalid):
        services.sign_in(user=comparing)


def test_every_session_ended_ends_djangos_too(clerk):
    before = clerk.get_session_auth_hash()

    services.sign_out_everywhere(user=clerk)

    assert stored(clerk).get_session_auth_hash() == clerk.get_session_auth_hash() != before


def test_the_hash_holds_under_the_secret_before(clerk, settings):
    before = clerk.get_session_auth_hash()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "x" * 50

    assert list(clerk.get_session_auth_fallback_hash()) == [before]
    end_django_sessions(clerk)
    assert before not in clerk.get_session_auth_fallback_hash()


def test_who_is_gone_or_has_no_epoch_is_no_error(clerk, django_user_model):
    gone = stored(clerk)
    clerk.delete()

    end_django_sessions(gone)
    end_django_sessions(django_user_model.objects.create_user(username="plain"))
