"""The inbox, what a user wants, and one click: over HTTP."""

from __future__ import annotations

import json
import uuid

import pytest
from django.test import Client
from ntc_core.outbox.services import run_due_jobs
from ntc_core.testing.plugin import make_user
from ntc_notify import services
from ntc_notify.conf import get_kind
from ntc_notify.models import InboxItem, Preference, Suppression
from ntc_notify.types import Channel, Recipient, SuppressionReason
from ntc_notify.unsubscribe import make_unsubscribe_url

from tests.people import EMAIL, send_news, send_receipt

pytestmark = pytest.mark.django_db

INBOX, PREFERENCES = "/api/v1/notifications/", "/api/v1/notifications/preferences/"


@pytest.fixture
def user():
    return make_user(username="asha", email=EMAIL)


@pytest.fixture
def api(user, client: Client) -> Client:
    client.force_login(user)
    return client


def fill(user, count: int) -> list[InboxItem]:
    for number in range(count):
        send_receipt(
            Recipient(user=user),
            kind="alert",
            context={"text": f"Habari {number}"},
            channels=["inapp"],
        )
    run_due_jobs()
    return list(InboxItem.objects.filter(user=user).order_by("id"))


def put(api: Client, body: object):
    return api.put(PREFERENCES, json.dumps(body), content_type="application/json")


def test_inbox_lists_the_callers_own_items_newest_first(api, user):
    items = fill(user, 3)
    fill(make_user(), 1)

    answer = api.get(INBOX).json()

    assert answer["status"] == "success"
    data = answer["data"]
    assert (data["count"], data["unread"]) == (3, 3)
    assert [row["uid"] for row in data["results"]] == [str(item.uid) for item in items[::-1]]
    assert data["results"][0] == {
        "uid": str(items[2].uid),
        "kind": "alert",
        "title": "Tahadhari",
        "body": "Habari 2",
        "is_read": False,
        "read_at": None,
        "created_at": data["results"][0]["created_at"],
    }


def test_inbox_costs_so_many_queries_however_long_it_is(api, user, django_assert_num_queries):
    """Session, user, count, page, unread."""
    fill(user, 30)

    with django_assert_num_queries(5):
        answer = api.get(INBOX, {"page_size": 20}).json()

    assert len(answer["data"]["results"]) == 20


def test_read_item_is_read_once_and_stays_so(api, user):
    item, other = fill(user, 2)

    answers = [api.post(f"{INBOX}{item.uid}/read/") for _ in range(2)]

    first, second = (answer.json()["data"] for answer in answers)
    assert first["is_read"]
    assert second["read_at"] == first["read_at"]
    data = api.get(INBOX, {"unread": "true"}).json()["data"]
    assert (data["unread"], [row["uid"] for row in data["results"]]) == (1, [str(other.uid)])


def test_read_all(api, user):
    fill(user, 3)
    [foreign] = fill(make_user(), 1)

    answers = [api.post(f"{INBOX}read-all/").json()["data"] for _ in range(2)]

    assert answers == [{"read": 3}, {"read": 0}]
    foreign.refresh_from_db()
    assert foreign.read_at is None


def test_item_of_somebody_else_is_not_there(api):
    [foreign] = fill(make_user(), 1)

    assert api.post(f"{INBOX}{foreign.uid}/read/").status_code == 404
    assert api.post(f"{INBOX}{uuid.uuid4()}/read/").status_code == 404
    foreign.refresh_from_db()
    assert foreign.read_at is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", INBOX),
        ("post", f"{INBOX}read-all/"),
        ("post", f"{INBOX}{uuid.uuid4()}/read/"),
        ("get", PREFERENCES),
        ("put", PREFERENCES),
    ],
)
def test_nobody_in_particular_has_no_inbox(client, method, path):
    assert getattr(client, method)(path).status_code in {401, 403}


def test_preferences_list_every_kind_and_what_can_be_chosen(api):
    rows = api.get(PREFERENCES).json()["data"]

    found = {(row["kind"], row["channel"]): (row["is_on"], row["choice"]) for row in rows}
    assert found["receipt", "sms"] == (True, "forced")
    assert found["news", "email"] == (True, "on")
    assert found["alert", "inapp"] == (True, "on")


def test_preferences_that_are_set_come_back(api, user):
    wanted = [{"kind": "news", "channel": "email", "is_on": False}]

    answer = put(api, {"preferences": wanted})

    assert answer.status_code == 200
    rows = {(row["kind"], row["channel"]): row["is_on"] for row in answer.json()["data"]}
    assert rows["news", "email"] is False
    assert rows["news", "sms"] is True
    assert Preference.objects.get().user == user


@pytest.mark.parametrize(
    "wanted",
    [
        [{"kind": "receipt", "channel": "sms", "is_on": False}],
        [{"kind": "nothing", "channel": "sms", "is_on": False}],
        [{"kind": "alert", "channel": "email", "is_on": False}],
        [{"kind": "news", "channel": "pigeon", "is_on": False}],
        [{"kind": "news", "channel": "email"}],
        "all off",
    ],
)
def test_preferences_that_cannot_be_set_set_none(api, wanted):
    good = [{"kind": "news", "channel": "email", "is_on": False}]
    body = {"preferences": good + wanted if isinstance(wanted, list) else wanted}

    answer = put(api, body)

    assert answer.status_code == 400
    assert answer.json()["status"] == "error"
    assert not Preference.objects.exists()


def test_what_a_link_has_ended_is_off_until_it_is_turned_on(api, user):
    services.suppress_address(
        channel=Channel.EMAIL,
        address=EMAIL,
        reason=SuppressionReason.UNSUBSCRIBED,
        source="link",
        kind="news",
    )
    rows = api.get(PREFERENCES).json()["data"]
    assert [row["is_on"] for row in rows if row["kind"] == "news"] == [False, True, True]

    put(api, {"preferences": [{"kind": "news", "channel": "email", "is_on": True}]})

    rows = api.get(PREFERENCES).json()["data"]
    assert [row["is_on"] for row in rows if row["kind"] == "news"] == [True, True, True]
    assert Suppression.objects.get().lifted_by == user


# One click.


@pytest.fixture
def link() -> str:
    message = send_news()
    url = make_unsubscribe_url(message, get_kind("news"))
    return url.removeprefix("https://api.farajayangu.example")


def test_one_click_needs_nobody_to_sign_in_and_no_cookie(link):
    """As a mail provider posts it: RFC 8058, section 3.2."""
    client = Client(enforce_csrf_checks=True)

    answers = [
        client.post(
            link, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
        )
        for _ in range(2)
    ]

    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json()["data"] == {"kind": "news", "channel": "email"}
    row = Suppression.objects.get()
    assert (row.kind, row.reason, row.source) == ("news", "unsubscribed", "link")


def test_one_click_with_any_body_will_do(link, client):
    answer = client.post(link, b"\x00\xff", content_type="application/octet-stream")

    assert answer.status_code == 200
    assert Suppression.objects.exists()


def test_looking_at_the_link_changes_nothing(link, client):
    for method in ("get", "head", "options"):
        assert getattr(client, method)(link).status_code == 200

    page = client.get(link)
    assert not Suppression.objects.exists()
    assert page["Content-Type"].startswith("text/html")
    assert b'<form method="post">' in page.content
    assert b"a***@e***" in page.content
    assert EMAIL.encode() not in page.content
    assert (page["Referrer-Policy"], page["Cache-Control"]) == ("no-referrer", "no-store")


def test_button_of_the_page_is_answered_with_a_page(link):
    client = Client(enforce_csrf_checks=True)

    answer = client.post(link, headers={"Accept": "text/html,*/*;q=0.8"})

    assert answer.status_code == 200
    assert "Umejiondoa" in answer.content.decode()
    assert Suppression.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
def test_link_that_was_cut_off_is_not_there(link, client, method):
    answer = getattr(client, method)(f"{link[:-9]}/")

    assert answer.status_code == 404
    assert not Suppression.objects.exists()
