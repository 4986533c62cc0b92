"""Breaks, refunds, payouts, books and statements for staff: to look at, mostly."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse
from ntc_core.testing.plugin import make_user
from ntc_payments.admin.base import host_of, masked_account
from ntc_payments.models import (
    Break,
    LedgerEntry,
    LedgerTransaction,
    PaymentEvent,
    Payout,
    Refund,
    StatementLine,
)
from ntc_payments.services.breaks import close_break, open_break

from tests.test_admin_timeline import refunded_by_payout
from tests.test_inbox import waiting

__all__ = ["waiting"]  # fixtures

pytestmark = pytest.mark.django_db

MODELS = [Break, LedgerEntry, LedgerTransaction, Payout, Refund, StatementLine]


def page_of(model, what, *args):
    return reverse(f"admin:ntc_payments_{model._meta.model_name}_{what}", args=args)


@pytest.fixture
def staff(client):
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def add_rows(waiting):
    """Return a function that adds one row of each kind, about one payment."""

    def add(number):
        refund = refunded_by_payout(waiting, by=make_user(), number=number)
        Payout.objects.filter(pk=refund.payout_id).update(account_number="0150123456789")
        open_break(
            kind=Break.Kind.UNMATCHED,
            dedupe_key=str(number),
            provider="simulator",
            detail="From 255712345678.",
            payment=waiting,
            refund=refund,
        )

    add(1)
    return add


@pytest.mark.parametrize("model", MODELS)
def test_list_and_page_show_the_row_masked(staff, add_rows, model):
    for row in model.objects.all():
        page = staff.get(page_of(model, "change", row.pk))
        assert page.status_code == 200
        for hidden in ("712345678", "0150123456789"):
            assert hidden not in page.content.decode()
    listing = staff.get(page_of(model, "changelist"))
    assert listing.status_code == 200
    assert "712345678" not in listing.content.decode()


@pytest.mark.parametrize("model", MODELS)
def test_queries_of_a_list_do_not_grow(staff, add_rows, model, django_assert_max_num_queries):
    """Session and user, the rows, what they point to, and the choices of filters and dates."""
    url = page_of(model, "changelist")
    staff.get(url)
    with django_assert_max_num_queries(9) as few:
        staff.get(url)
    for number in range(2, 8):
        add_rows(number)
    with django_assert_max_num_queries(len(few)):
        staff.get(url)


@pytest.mark.parametrize("model", MODELS)
def test_nobody_adds_changes_or_deletes(staff, add_rows, model):
    """Not even a superuser; a closed break is as fixed as the rest."""
    close_break(break_uid=Break.objects.get().uid, by=make_user(), resolution="So.")
    pk = model.objects.first().pk

    assert staff.get(page_of(model, "add")).status_code == 403
    assert staff.post(page_of(model, "change", pk), {"resolution": "x"}).status_code == 403
    assert staff.post(page_of(model, "delete", pk), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("model", MODELS)
def test_search_and_filters_answer(staff, add_rows, model):
    url = page_of(model, "changelist")

    assert staff.get(url, {"q": "simulator"}).status_code == 200
    assert staff.get(url, {"created_at__year": "2020"}).status_code in {200, 302}


def member(*permissions):
    staff = make_user(is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return staff


def test_break_is_closed_with_a_resolution(client, add_rows, waiting):
    """Who did it is in the break, in the payment's history and in the admin's own."""
    closer = member("view_break", "close_break")
    client.force_login(closer)
    found = Break.objects.get()

    client.post(page_of(Break, "change", found.pk), {"resolution": "Money returned by hand."})

    found.refresh_from_db()
    assert (found.state, found.closed_by) == ("closed", closer)
    assert found.resolution == "Money returned by hand."
    event = PaymentEvent.objects.get(kind="break")
    assert (event.actor, event.source, event.payment) == (closer, "staff", waiting)
    assert (event.from_status, event.to_status, event.reason) == ("open", "closed", "unmatched")
    assert LogEntry.objects.get().user == closer
    page = client.get(page_of(Break, "change", found.pk)).content.decode()
    assert "Money returned by hand." in page
    assert "<textarea" not in page


@pytest.mark.parametrize("resolution", ["", "   "])
def test_break_is_not_closed_without_a_resolution(staff, add_rows, resolution):
    found = Break.objects.get()

    page = staff.post(page_of(Break, "change", found.pk), {"resolution": resolution})

    assert "This field is required" in page.content.decode()
    found.refresh_from_db()
    assert found.state == "open"


@pytest.mark.parametrize(
    "permissions", [("view_break",), ("close_break",), ("change_break", "view_break")]
)
def test_who_may_not_close_a_break_cannot(client, add_rows, permissions):
    """Seeing is not closing, and what cannot be seen cannot be closed."""
    client.force_login(member(*permissions))
    found = Break.objects.get()

    answer = client.post(page_of(Break, "change", found.pk), {"resolution": "So."})

    assert answer.status_code == 403
    found.refresh_from_db()
    assert found.state == "open"


WAITING_FOR_A_LOCK = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_comes_second_to_a_break_is_told(add_rows):
    """Their form was open while a colleague closed it; the colleague's word stays."""
    found = Break.objects.get()
    second = Client()
    second.force_login(make_user(is_staff=True, is_superuser=True))
    url = page_of(Break, "change", found.pk)

    def close_too():
        try:
            return second.post(url, {"resolution": "Mine."}, follow=True)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Break.objects.select_for_update().get(pk=found.pk)
            late = pool.submit(close_too)
            wait_until_somebody_waits()
            close_break(break_uid=found.uid, by=make_user(), resolution="First.")
        page = late.result(timeout=20)

    found.refresh_from_db()
    assert found.resolution == "First."
    assert (page.status_code, page.redirect_chain) == (200, [(url, 302)])
    assert "This break is closed already." in page.content.decode()
    assert PaymentEvent.objects.filter(kind="break").count() == 1


def wait_until_somebody_waits():
    deadline = time.monotonic() + 15
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            # Within a transaction the view stays as it was first seen.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(WAITING_FOR_A_LOCK)
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody came to the lock")


def test_resolution_that_is_too_long_is_not_cut(staff, add_rows):
    found = Break.objects.get()

    page = staff.post(page_of(Break, "change", found.pk), {"resolution": "x" * 501})

    assert "at most 500 characters" in page.content.decode()


@pytest.mark.parametrize("about", ["attempt", "refund", "payout", "nothing"])
def test_closing_is_written_where_there_is_a_history(add_rows, waiting, about):
    """A statement line that nobody knows has none; the break itself tells."""
    rows = {
        "attempt": {"attempt": waiting.attempts.get()},
        "refund": {"refund": Refund.objects.get()},
        "payout": {"payout": Payout.objects.get()},
        "nothing": {},
    }[about]
    opened = open_break(
        kind=Break.Kind.MISSING_HERE, dedupe_key="x", provider="simulator", detail="?", **rows
    )

    close_break(break_uid=opened.uid, by=make_user(), resolution="So.")

    lines = PaymentEvent.objects.filter(kind="break")
    assert [line.reason for line in lines] == ([] if about == "nothing" else ["missing_here"])
    if about in {"attempt", "refund"}:
        assert lines.get().payment == waiting


def test_links_and_accounts_show_only_where_they_lead():
    assert host_of("https://pay.example/c/secret?x=1") == "https://pay.example/…"
    assert host_of("") == "-"
    assert masked_account("0150123456789") == "****789"
    assert masked_account("12345") == "****"
    assert masked_account("") == "-"


def test_attempt_page_hides_what_opens_the_checkout(staff, waiting):
    """Who has the link pays as the payer."""
    attempt = waiting.attempts.get()
    attempt.checkout_url = "https://pay.example/opens-everything"
    attempt.save()

    page = staff.get(reverse("admin:ntc_payments_paymentattempt_change", args=[attempt.pk]))

    assert "https://pay.example/…" in page.content.decode()
    assert "opens-everything" not in page.content.decode()


def test_money_out_pages_tell_their_story(staff, add_rows):
    """History and what was asked of the company."""
    refund = Refund.objects.get()
    page = staff.get(page_of(Refund, "change", refund.pk)).content.decode()

    assert "refund: new → created (system)" in page
    assert (
        "payout: new → created (system)"
        in staff.get(page_of(Payout, "change", refund.payout_id)).content.decode()
    )
