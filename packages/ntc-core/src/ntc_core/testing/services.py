"""Find the database and the Redis that tests may use; no dependency beyond their drivers.

PostgreSQL: TEST_DATABASE_URL, else postgres@127.0.0.1:5432, else a SQLite file.
Redis: TEST_REDIS_URL (`none`: do without), else 127.0.0.1:6379. A URL that is given is used as
it is; when its server is away, the run stops with a sentence. TEST_DATABASE_SUFFIX lets two
runs go on at the same time. Azurite: AZURITE_HOME, else where `make azurite` puts it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = [
    "azurite_script",
    "database_settings",
    "database_url",
    "find_silent_services",
    "redis_is_reachable",
    "redis_url",
]

LOCAL_POSTGRES_URL = "postgres://postgres@127.0.0.1:5432/postgres"
LOCAL_REDIS_URL = "redis://127.0.0.1:6379"
CONNECT_TIMEOUT_SECONDS = 2
#: Below the home folder, as npm puts it there.
AZURITE_HOME = ".cache/ntc/azurite-3.35.0"
#: TEST_REDIS_URL=none: do without, even where the local server runs.
NO_REDIS = "none"

_ENGINES = {
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "sqlite": "django.db.backends.sqlite3",
}


@cache
def database_url() -> str:
    """Return the URL of the database that tests use, `"sqlite:"` where there is no server."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        return given
    return LOCAL_POSTGRES_URL if _postgres_is_reachable(LOCAL_POSTGRES_URL) else "sqlite:"


def database_settings(name: str) -> dict[str, Any]:
    """Return one entry of Django's DATABASES.

    Args:
        name: names the test database, `test_<name>`: packages that are tested at the same
            time need different ones.
    """
    name = "_".join(filter(None, [name, os.environ.get("TEST_DATABASE_SUFFIX", "")]))
    url = urlsplit(database_url())
    engine = _ENGINES.get(url.scheme)
    if engine is None:
        raise ValueError(
            f"TEST_DATABASE_URL starts with {url.scheme!r}; expected postgres:// or sqlite:."
        )
    if url.scheme == "sqlite":
        folder = Path(tempfile.gettempdir()) / f"ntc-tests-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return {
            "ENGINE": engine,
            "NAME": str(folder / f"{name}.sqlite3"),
            # A file, because threads share it better than SQLite's shared memory; and take
            # the write lock first, because a later upgrade of the lock fails at once.
            "TEST": {"NAME": str(folder / f"test_{name}.sqlite3")},
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    return {
        "ENGINE": engine,
        "NAME": unquote(url.path.lstrip("/")) or "postgres",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": unquote(url.hostname or ""),
        "PORT": str(url.port or ""),
        "OPTIONS": dict(parse_qsl(url.query)),
        "TEST": {"NAME": f"test_{name}"},
    }


def redis_url(*, database: int = 0) -> str | None:
    """Return the URL of the Redis that tests use, None where there is none.

    Args:
        database: number of the Redis database, for the local server; a given URL keeps its own.
    """
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        return None if given == NO_REDIS else given
    return f"{LOCAL_REDIS_URL}/{database}" if redis_is_reachable(LOCAL_REDIS_URL) else None


def azurite_script() -> Path | None:
    """Return what `node` runs to play Azure Blob Storage; None: Azurite or node is missing."""
    home = Path(os.environ.get("AZURITE_HOME") or Path.home() / AZURITE_HOME)
    script = home / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    return script if script.is_file() and shutil.which("node") else None


def find_silent_services() -> dict[str, str]:
    """Return variable -> `host:port` of each service that was named and does not answer."""
    silent = {}
    database = os.environ.get("TEST_DATABASE_URL", "")
    if database.startswith("postgres") and not _postgres_is_reachable(database):
        silent["TEST_DATABASE_URL"] = urlsplit(database).netloc.rpartition("@")[2]
    redis = os.environ.get("TEST_REDIS_URL", "")
    if redis not in ("", NO_REDIS) and not redis_is_reachable(redis):
        silent["TEST_REDIS_URL"] = urlsplit(redis).netloc.rpartition("@")[2]
    return silent


@cache
def redis_is_reachable(url: str) -> bool:
    """Tell whether the server answers a PING and its client library is installed."""
    try:
        import redis  # noqa: PLC0415 - an optional driver
    except ImportError:
        return False
    client = redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=CONNECT_TIMEOUT_SECONDS,
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


def _postgres_is_reachable(url: str) -> bool:
    try:
        import psycopg2  # noqa: PLC0415 - an optional driver
    except ImportError:
        return False
    try:
        psycopg2.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS).close()
    except psycopg2.OperationalError:
        return False
    return True
