"""Read settings from the environment; a missing or unsafe value names itself and stops the start.

`NAME_FILE` may hold the path of a file with the value of `NAME`, as Docker secrets do.
An empty value counts as not set, because hosting panels cannot leave a variable out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from farajayangu_be.database import postgresql_options

__all__ = ["Environment", "refuse"]


def refuse(name: str, problem: str, *, expected: str) -> ImproperlyConfigured:
    """Build the sentence that stops the start-up. Never put the value itself into it."""
    return ImproperlyConfigured(f"{name} {problem}. Expected {expected}; see .env.example.")


class Environment:
    """django-environ's files and URL parsers, with reads that explain themselves.

    Values are taken as they are: a call of `environ.Env` would read a leading "$" as the name
    of another variable, which breaks every generated secret that happens to start with one.
    """

    def __init__(self) -> None:
        self._values = environ.FileAwareEnv().ENVIRON

    def text(self, name: str, *, default: str = "") -> str:
        """Return the value without surrounding white space, else the default."""
        try:
            value = str(self._values[name]).strip()
        except KeyError:
            return default
        except OSError as error:
            raise refuse(
                f"{name}_FILE", "cannot be read", expected="the path of a readable file"
            ) from error
        return value or default

    def required(self, name: str, *, expected: str) -> str:
        """Return the value, or stop the start-up."""
        value = self.text(name)
        if not value:
            raise refuse(name, "is not set", expected=expected)
        return value

    def words(self, name: str, *, default: Sequence[str] = ()) -> list[str]:
        """Return the items of a comma list."""
        items = [item.strip() for item in self.text(name).split(",")]
        return [item for item in items if item] or list(default)

    def whole_number(self, name: str, *, default: int) -> int:
        """Return a number of zero or more."""
        value = self.text(name, default=str(default))
        if not (value.isascii() and value.isdigit()):
            raise refuse(name, "is not a whole number", expected=f"digits, such as {default}")
        return int(value)

    def one_of(self, name: str, choices: Sequence[str], *, default: str) -> str:
        """Return one of the choices, whatever the case it was written in."""
        value = self.text(name, default=default).upper()
        if value not in choices:
            raise refuse(name, "is not a known value", expected=f"one of {', '.join(choices)}")
        return value

    def origins(self, name: str) -> list[str]:
        """Return a comma list of origins, `https://app.example.com`, without path or wildcard."""
        origins = self.words(name)
        for origin in origins:
            parts = urlsplit(origin)
            bare = parts.scheme in {"http", "https"} and parts.netloc and not origin.endswith("/")
            if not bare or parts.path or "*" in origin:
                raise refuse(
                    name,
                    "has an entry that is not an origin",
                    expected="a comma list such as https://app.example.com,https://www.example.com",
                )
        return origins

    def web_url(self, name: str, *, default: str = "") -> str:
        """Return an http(s) URL without the trailing slash."""
        value = self.text(name, default=default)
        if value and not _is_web_url(value):
            raise refuse(name, "is not a URL", expected="a URL such as https://api.example.com")
        return value.rstrip("/")

    def site_url(self, name: str, *, default: str) -> str:
        """Return the http(s) URL of a whole site: paths of ours are put behind it."""
        url = self.web_url(name, default=default)
        parts = urlsplit(url)
        if "@" in parts.netloc or parts.path or "?" in url or "#" in url:
            raise refuse(
                name,
                "has more than scheme, host and port",
                expected="a URL such as https://api.example.com",
            )
        return url

    def redis_url(self, name: str, *, default: str = "") -> str:
        """Return the URL of a Redis database."""
        value = self.text(name, default=default)
        if value and urlsplit(value).scheme not in {"redis", "rediss", "unix"}:
            raise refuse(name, "is not a Redis URL", expected="a URL such as redis://host:6379/0")
        return value

    def database(self, name: str, *, default: str = "") -> dict[str, Any]:
        """Return the entry of DATABASES for PostgreSQL or SQLite."""
        expected = "a URL such as postgres://user:password@host:5432/name"
        value = self.text(name, default=default)
        if not value:
            raise refuse(name, "is not set", expected=expected)
        scheme = urlsplit(value).scheme
        if scheme not in {"postgres", "postgresql", "sqlite"}:
            raise refuse(name, f"has the unknown scheme {scheme[:16]!r}", expected=expected)
        if scheme == "sqlite":
            return sqlite_database(value)
        try:
            database = environ.Env.db_url_config(value)
        except ValueError as error:
            raise refuse(name, "cannot be read as a URL", expected=expected) from error
        if not database.get("NAME"):
            raise refuse(name, "names no database", expected=expected)
        database["OPTIONS"] = {**postgresql_options(), **database.get("OPTIONS", {})}
        database["CONN_MAX_AGE"] = 60
        database["CONN_HEALTH_CHECKS"] = True
        return dict(database)


def _is_web_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a broken address, or a port that is no number
        return False


def sqlite_database(url: str) -> dict[str, Any]:
    """Return a SQLite database that several processes of one machine can share.

    Write-ahead logging lets readers go on beside the one writer, and a transaction takes
    the write lock at its beginning: taken in the middle it fails at once with "database is
    locked" instead of waiting for its turn.
    """
    path = Path(url.removeprefix("sqlite://").removeprefix("/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
