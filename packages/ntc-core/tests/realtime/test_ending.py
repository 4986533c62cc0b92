"""A socket ends with its session, at once; and everything else that ends one."""

from __future__ import annotations

import socket as sockets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from ntc_core.auth import services as auth
from ntc_core.auth.models import EndReason
from ntc_core.realtime import publish, push
from ntc_core.realtime.models import RealtimeConnection, RealtimeEvent
from redis import Redis

from tests.realtime.conftest import LAYERS, await_no_connections, redis_layer

pytestmark = pytest.mark.django_db(transaction=True)

ENDED = (4401, "The session is over. Sign in again.")


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("end", ["logout", "logout all", "by staff", "deactivated", "deleted"])
def test_a_session_that_ends_closes_its_sockets(layer, end, use_layer, open_socket, asha):
    use_layer(layer)  # with one, it is the hint that closes
    signed_in = auth.sign_in(user=asha)
    other = auth.sign_in(user=User.objects.create_user(username="juma"))
    phones = [open_socket(session=signed_in.session) for _ in range(2)]
    stays = open_socket(session=other.session)

    match end:
        case "logout":
            auth.sign_out(refresh_token=signed_in.refresh)
        case "logout all":
            auth.sign_out_everywhere(user=asha)
        case "by staff":
            auth.end_session(signed_in.session, reason=EndReason.STAFF)
        case "deactivated":
            asha.is_active = False
            asha.save()
        case "deleted":
            asha.delete()

    assert [phone.closed_with() for phone in phones] == [ENDED, ENDED]
    push(other.session.user, "still.here", {})
    assert stays.events(1) == [(1, "still.here")]


def test_one_device_ends_and_the_others_go_on(open_socket, asha):
    ends, stays = auth.sign_in(user=asha), auth.sign_in(user=asha)
    gone, here = open_socket(session=ends.session), open_socket(session=stays.session)
    auth.sign_out(refresh_token=ends.refresh)
    assert gone.closed_with() == ENDED
    push(asha, "a", {})
    assert here.events(1) == [(1, "a")]


@pytest.mark.parametrize("how", ["a query", "expiry"])
def test_what_sends_no_signal_is_found_by_looking(how, open_socket, asha):
    signed_in = auth.sign_in(user=asha)
    phone = open_socket(session=signed_in.session)
    if how == "a query":
        User.objects.filter(pk=asha.pk).update(is_active=False)
    else:
        type(signed_in.session).objects.update(expires_at=signed_in.session.created_at)
    assert phone.closed_with() == ENDED


def test_saving_a_user_who_is_active_closes_nothing(open_socket, asha):
    phone = open_socket(asha)
    asha.first_name = "Asha"
    asha.save()
    assert phone.is_silent()


def test_a_socket_lives_as_long_as_an_access_token(open_socket, asha, settings):
    settings.NTC_ACCESS_TOKEN_SECONDS = 1
    phone = open_socket(asha)
    code, _ = phone.closed_with()
    assert code == 4001


def test_one_socket_too_many_closes_the_oldest(open_socket, asha, settings):
    settings.NTC_REALTIME_SOCKETS_PER_USER = 3
    settings.NTC_REALTIME_WATCH_SECONDS = 60
    phones = [open_socket(asha) for _ in range(4)]
    assert phones[0].closed_with()[0] == 4409
    push(asha, "a", {})
    assert [phone.events(1) for phone in phones[1:]] == [[(1, "a")]] * 3


def test_many_sockets_at_once_stay_within_the_limit(open_socket, asha, settings):
    settings.NTC_REALTIME_SOCKETS_PER_USER = 2
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: open_socket(asha), range(8)))
    assert RealtimeConnection.objects.count() == 2


def test_sockets_of_a_process_that_died_do_not_count(open_socket, asha, settings):
    settings.NTC_REALTIME_SOCKETS_PER_USER = 1
    signed_in = auth.sign_in(user=asha)
    long_ago = signed_in.session.created_at.replace(year=2020)
    dead = RealtimeConnection.objects.create(
        user=asha, session=signed_in.session, path="/ws/", seen_at=long_ago
    )
    phone = open_socket(asha)
    assert phone.is_silent()
    assert RealtimeConnection.objects.filter(pk=dead.pk).exists()  # the hourly job's


def test_a_socket_that_the_client_closes_is_forgotten(open_socket, asha):
    phone = open_socket(asha)
    assert RealtimeConnection.objects.count() == 1
    phone.socket.close()
    await_no_connections()


def test_a_client_that_vanishes_is_forgotten(open_socket, asha):
    phone = open_socket(asha)
    phone.socket.socket.shutdown(2)
    await_no_connections()


def test_a_quiet_socket_has_a_heartbeat(open_socket, asha, settings):
    settings.NTC_REALTIME_HEARTBEAT_SECONDS = 0.2
    phone = open_socket(asha)
    push(asha, "a", {})
    messages = [phone.read() for _ in range(3)]
    assert {"type": "heartbeat", "seq": 1} in messages


@pytest.mark.redis
def test_a_redis_that_drops_its_connections_loses_nothing(open_socket, asha, use_layer, settings):
    use_layer("redis")
    settings.NTC_REALTIME_WATCH_SECONDS = 1  # a hint on a connection that is dead is lost
    phone = open_socket(asha)
    Redis.from_url(redis_layer()["CONFIG"]["hosts"][0]).client_kill_filter(_type="pubsub")
    push(asha, "a", {})
    assert phone.events(1) == [(1, "a")]
    time.sleep(1.5)
    push(asha, "b", {})
    assert phone.events(1) == [(2, "b")]


def test_a_redis_that_is_away_only_costs_time(open_socket, asha, settings, caplog):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:9/0"]},
        }
    }
    phone = open_socket(asha)
    push(asha, "a", {})
    assert phone.events(1) == [(1, "a")]
    assert "realtime.layer_away" in caplog.messages
    auth.sign_out_everywhere(user=asha)
    assert phone.closed_with() == ENDED


def test_a_redis_that_hangs_is_waited_for_once(asha, settings):
    """One transaction may tell a thousand people."""
    with sockets.create_server(("127.0.0.1", 0)) as hole:
        hole.settimeout(0.1)
        address = f"redis://127.0.0.1:{hole.getsockname()[1]}/0"
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
                "CONFIG": {"hosts": [address]},
            }
        }
        with transaction.atomic():
            for number in range(3):
                publish(f"user.{number}", "a", {})
        hole.accept()[0].close()
        with pytest.raises(TimeoutError):
            hole.accept()
    assert RealtimeEvent.objects.exclude(seq=None).count() == 3


@pytest.mark.redis
def test_when_all_leave_at_once_nobody_waits_for_the_layer(open_socket, asha, use_layer, caplog):
    use_layer("redis")
    phones = [open_socket(asha) for _ in range(5)]
    for phone in phones:
        phone.socket.socket.shutdown(2)
    await_no_connections()
    assert "realtime.layer_away" not in caplog.messages
    push(asha, "a", {})
    assert open_socket(asha).hello["seq"] == 1


@pytest.mark.redis
def test_nothing_is_left_of_sockets_that_are_closed(open_socket, asha, use_layer, settings):
    """Not in Redis either, where a busy day would leave thousands of subscriptions."""
    use_layer("redis")
    settings.NTC_REALTIME_WATCH_SECONDS = 0.3
    redis = Redis.from_url(redis_layer()["CONFIG"]["hosts"][0])
    ours = f"{redis_layer()['CONFIG']['prefix']}__group__*"
    for _ in range(3):
        open_socket(asha).socket.close()
        await_no_connections()
    for _ in range(100):
        if not (left := redis.pubsub_channels(ours)):
            break
        time.sleep(0.05)
    assert left == []
    redis.close()


def test_a_server_that_stops_says_so(open_socket, asha, server):
    phone = open_socket(asha)
    server.stop()
    assert phone.closed_with()[0] == 1012
    await_no_connections()
