"""Who is calling, however the address is written."""

from __future__ import annotations

import pytest
from ntc_core.client import (
    address_to_count,
    bind_request,
    client_address,
    current_request,
    network_of,
    user_agent_of,
)


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        ("41.59.0.1:50123", "41.59.0.1"),
        ("[2001:db8::1]:50123", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:41.59.0.1", "41.59.0.1"),
        ("unknown", "10.0.0.7"),
        ("_hidden", "10.0.0.7"),
        ("41.59.0.1 41.59.0.2", "10.0.0.7"),
        ("' OR 1=1", "10.0.0.7"),
    ],
)
def test_a_proxy_may_write_the_address_in_many_ways(rf, settings, forwarded, expected):
    """What is no address is not believed, or every word would be a new caller."""
    settings.NTC_TRUSTED_PROXY_COUNT = 1
    request = rf.get("/", REMOTE_ADDR="10.0.0.7", headers={"X-Forwarded-For": forwarded})

    assert client_address(request) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("41.59.0.1", "41.59.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_subscriber_counts_as_one(rf, address, expected):
    assert address_to_count(rf.get("/", REMOTE_ADDR=address)) == expected


@pytest.mark.parametrize(
    ("address", "network"),
    [("41.59.7.9", "41.59.7.0/24"), ("2001:db8:1:2::9", "2001:db8:1::/48"), ("socket", "")],
)
def test_a_network_names_no_person(address, network):
    assert network_of(address) == network


def test_what_the_device_says_is_printable_and_short(rf):
    request = rf.get("/", headers={"User-Agent": "a\x00b\n" + "c" * 500})

    assert user_agent_of(request) == "ab" + "c" * 198


def test_the_request_is_known_while_it_is_answered(rf):
    request = rf.get("/")

    assert current_request() is None
    with bind_request(request):
        assert current_request() is request
    assert current_request() is None
