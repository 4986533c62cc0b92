"""Events arrive once, in order, and nobody who was away misses one."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from ntc_core.auth import services as auth
from ntc_core.realtime import publish, push, stream_of
from ntc_core.realtime.models import RealtimeEvent, RealtimeStream
from ntc_core.realtime.services import number_events, send_out

from tests.models import Shop
from tests.realtime.conftest import LAYERS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("layer", LAYERS)
def test_an_event_reaches_every_socket_of_the_user(layer, use_layer, open_socket, asha):
    use_layer(layer)
    other = User.objects.create_user(username="juma")
    phones = [open_socket(asha), open_socket(asha)]
    stranger = open_socket(other)

    push(asha, "payment.updated", {"status": "succeeded", "amount": Decimal("5.00")})

    for phone in phones:
        message = phone.read()
        at = datetime.fromisoformat(message.pop("at"))
        assert abs((datetime.now(tz=UTC) - at).total_seconds()) < 60
        assert message == {
            "type": "event",
            "seq": 1,
            "event": "payment.updated",
            "data": {"status": "succeeded", "amount": "5.00"},
        }
    assert stranger.is_silent()


def test_an_event_of_a_transaction_that_fails_does_not_exist(open_socket, asha):
    phone = open_socket(asha)
    with transaction.atomic():
        push(asha, "a", {})
        transaction.set_rollback(True)
    with transaction.atomic():
        push(asha, "b", {})
        push(asha, "c", {})
        assert phone.is_silent()
    assert phone.events(2) == [(1, "b"), (2, "c")]


@pytest.mark.parametrize("layer", LAYERS)
def test_who_was_away_gets_what_was_missed_and_then_what_comes(layer, use_layer, open_socket, asha):
    use_layer(layer)
    session = auth.sign_in(user=asha).session
    push(asha, "before", {})
    phone = open_socket(session=session)
    assert phone.hello["seq"] == 1
    push(asha, "seen", {})
    assert phone.events(1) == [(2, "seen")]
    phone.socket.close()
    push(asha, "missed", {})
    push(asha, "missed.too", {})

    again = open_socket(session=session, path="/ws/?after=2")

    assert again.hello["seq"] == 4
    push(asha, "new", {})
    assert again.events(3) == [(3, "missed"), (4, "missed.too"), (5, "new")]


def test_an_event_whose_writer_died_arrives_all_the_same(open_socket, asha):
    """Killed between the commit and the hint: the row has no number, nobody was woken."""
    phone = open_socket(asha)
    RealtimeEvent.objects.create(stream=stream_of(asha), event="orphan", data={})
    assert phone.events(1) == [(1, "orphan")]
    RealtimeEvent.objects.create(stream=stream_of(asha), event="orphan", data={})
    assert open_socket(asha).hello["seq"] == 2


def test_a_lost_hint_is_made_up_for_by_the_next(open_socket, asha, settings):
    settings.NTC_REALTIME_WATCH_SECONDS = 60
    phone = open_socket(asha)
    RealtimeEvent.objects.create(stream=stream_of(asha), event="lost", data={})
    number_events(stream_of(asha))
    assert phone.is_silent()
    push(asha, "next", {})
    assert phone.events(2) == [(1, "lost"), (2, "next")]


def test_numbers_have_no_gaps_and_follow_the_commits(open_socket, asha):
    """Two transactions at once: the one that writes first commits last."""
    phone = open_socket(asha)
    written, committed = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            push(asha, "slow", {})
            written.set()
            assert committed.wait(5)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(5)
    push(asha, "quick", {})
    committed.set()
    thread.join()

    assert phone.events(2) == [(1, "quick"), (2, "slow")]


def test_many_writers_at_once_give_every_number_once(open_socket, asha):
    phone = open_socket(asha)

    def write():
        for _ in range(25):
            push(asha, "tick", {})
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert phone.events(200) == [(seq, "tick") for seq in range(1, 201)]
    assert RealtimeStream.objects.get().last_seq == 200


def test_a_socket_of_an_app_carries_its_own_stream(open_socket, asha):
    shop = Shop.objects.create(name="Duka")
    mine = open_socket(asha)
    phone = open_socket(asha, path=f"/ws/shops/{shop.pk}/")
    publish(f"shop.{shop.pk}", "order.placed", {"total": 3})
    assert phone.events(1) == [(1, "order.placed")]
    assert mine.is_silent()


def test_who_missed_what_is_purged_is_told_so(open_socket, asha):
    for number in range(5):
        push(asha, f"e{number}", {})
    RealtimeEvent.objects.filter(seq__lte=3).delete()
    phone = open_socket(asha, path="/ws/?after=1")
    assert phone.read() == {"type": "gap", "seq": 3}
    assert phone.events(2) == [(4, "e3"), (5, "e4")]

    RealtimeEvent.objects.all().delete()
    phone = open_socket(asha, path="/ws/?after=1")
    assert phone.read() == {"type": "gap", "seq": 5}


def test_a_number_from_the_future_is_a_gap(open_socket, asha):
    push(asha, "a", {})
    phone = open_socket(asha, path="/ws/?after=900000000000000000")
    assert phone.read() == {"type": "gap", "seq": 1}
    push(asha, "b", {})
    assert phone.events(1) == [(2, "b")]


def test_who_missed_too_much_fetches_it(open_socket, asha, settings):
    settings.NTC_REALTIME_BACKLOG = 100
    with transaction.atomic():
        for _ in range(150):
            push(asha, "tick", {})
    phone = open_socket(asha, path="/ws/?after=0")
    assert len(phone.events(100)) == 100
    assert phone.read() == {"type": "gap", "seq": 150}
    push(asha, "tock", {})
    assert phone.events(1) == [(151, "tock")]


def test_a_slow_client_gets_all_of_it_in_order(open_socket, asha):
    """More than the hints that wait for a client: the rest is read from the rows."""
    phone = open_socket(asha)
    with transaction.atomic():
        for _ in range(300):
            push(asha, "tick", {"text": "x" * 2000})
    assert phone.events(300) == [(seq, "tick") for seq in range(1, 301)]


def nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels):
        data = {"x": data}
    return data


def test_what_is_just_allowed_arrives(open_socket, asha):
    phone = open_socket(asha)
    for data in ({"x": 2**63}, {"x": "é" * 2000}, nested(252)):
        push(asha, "a", data)
        assert phone.read()["data"] == data


@pytest.mark.parametrize(
    ("stream", "event", "data", "says"),
    [
        ("user 1", "a", {}, "no name of a stream"),
        ("", "a", {}, "no name of a stream"),
        ("a" * 81, "a", {}, "no name of a stream"),
        ("user.1", "a b", {}, "no name of an event"),
        ("user.1", "a", {"x": object()}, "plain JSON"),
        ("user.1", "a", {"x": float("nan")}, "plain JSON"),
        ("user.1", "a", {"x": "a\0b"}, "NUL"),
        # The rows would take these, and no socket could send them.
        ("user.1", "a", {"x": 2**64}, "plain JSON"),
        ("user.1", "a", {"x": "\ud800"}, "plain JSON"),
        ("user.1", "a", nested(254), "plain JSON"),
        ("user.1", "a", nested(5000), "plain JSON"),
        ("user.1", "a", {"x": "x" * 17000}, "larger than 16384"),
    ],
)
def test_what_no_client_could_get_is_refused(stream, event, data, says):
    with pytest.raises(ValueError, match=says):
        publish(stream, event, data)
    assert not RealtimeEvent.objects.exists()


def test_a_push_costs_one_query_in_the_transaction(asha, django_assert_num_queries):
    push(asha, "first", {})
    with transaction.atomic(), django_assert_num_queries(1):
        push(asha, "second", {})
    with django_assert_num_queries(1):
        send_out(stream_of(asha))  # nothing is left to number
