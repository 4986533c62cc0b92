"""The `NTC_REALTIME_*` settings."""

from __future__ import annotations

from ntc_core.auth.conf import auth_settings
from ntc_core.conf import AppSettings

__all__ = ["RealtimeSettings", "realtime_settings"]

KIB = 1024


class RealtimeSettings(AppSettings):
    """What a project may decide about its sockets."""

    #: Where the sockets are; handlers of apps are below it.
    REALTIME_PATH: str = "/ws/"
    #: Origins whose pages may open a socket, such as "https://app.example.com". Apps on phones
    #: send none and are let in: no browser sends their ticket for somebody else.
    REALTIME_ORIGINS: tuple[str, ...] = ()
    #: The same as regular expressions that have to match the whole origin.
    REALTIME_ORIGIN_REGEXES: tuple[str, ...] = ()
    #: How long a ticket opens a socket; at most 30.
    REALTIME_TICKET_SECONDS: int = 30
    #: After that a socket is closed and needs a new ticket, so that a session nobody refreshes
    #: has none. None: as long as an access token lives.
    REALTIME_SOCKET_SECONDS: int | None = None
    #: Open sockets of one user; one more closes the oldest.
    REALTIME_SOCKETS_PER_USER: int = 10
    #: Open sockets of one process; one more is refused with 503.
    REALTIME_SOCKETS_PER_PROCESS: int = 5_000
    #: Largest message a client may send, in bytes.
    REALTIME_MESSAGE_BYTES: int = 16 * KIB
    #: Messages a client may send within ten seconds.
    REALTIME_MESSAGES_PER_10_SECONDS: int = 50
    #: A quiet socket says so often that it lives. Proxies close what is silent for 60 s.
    REALTIME_HEARTBEAT_SECONDS: float = 20
    #: How often a process asks the database what it was not told: ended sessions, lost wake-ups.
    REALTIME_WATCH_SECONDS: float = 5
    #: A client that takes no data for so long is closed.
    REALTIME_SEND_SECONDS: float = 20
    #: Missed events that are sent again; who missed more fetches everything over HTTP.
    REALTIME_BACKLOG: int = 500
    #: How long events are kept for those who are away.
    REALTIME_KEEP_HOURS: int = 24

    @property
    def socket_seconds(self) -> int:
        seconds: int | None = self.REALTIME_SOCKET_SECONDS
        return auth_settings.ACCESS_TOKEN_SECONDS if seconds is None else seconds


realtime_settings = RealtimeSettings()
