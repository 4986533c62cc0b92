"""For tests: the exam that every provider passes, and companies to pass it with.

    class TestPigeon(HttpProviderSuite):
        channel = Channel.SMS
        accepted = HttpReply.json({"id": "p-1"})
        ...

`running_simulator()` runs the pretend Beem as a process. See docs/guides/add-a-notify-provider.md.
"""

import pytest

# Before the imports below (E402), so that a failed assert of the exam shows its values.
pytest.register_assert_rewrite("ntc_notify.testing.suite", "ntc_notify.testing.http_suite")

from ntc_notify.testing.http_peer import HttpPeer, HttpReply, ReceivedRequest, http_peer  # noqa: E402
from ntc_notify.testing.http_suite import HttpProviderSuite  # noqa: E402
from ntc_notify.testing.running import RunningSimulator, running_simulator  # noqa: E402
from ntc_notify.testing.suite import NotifyProviderSuite, Peer, Story  # noqa: E402

__all__ = [
    "HttpPeer",
    "HttpProviderSuite",
    "HttpReply",
    "NotifyProviderSuite",
    "Peer",
    "ReceivedRequest",
    "RunningSimulator",
    "Story",
    "http_peer",
    "running_simulator",
]
