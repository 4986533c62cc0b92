"""What `ntc doctor` learns: the findings of the system checks, and whether each service answers.

The core asks databases, caches and the broker. An app names in its `doctor.py` whom else it
needs; asking must change nothing, cost nothing and carry the real credentials:

    @services
    def list_printers() -> Iterator[Service]:
        yield Service(name="printer", ask=printer.ping, advice="Check SHOP_PRINTER_URL.")
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from threading import Event, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.checks import WARNING, CheckMessage, Tags
from django.core.checks.registry import registry
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils.module_loading import autodiscover_modules

from ntc_core.health.probes import ask_broker, ask_cache, ask_database, broker_url
from ntc_core.masking import HIDDEN, mask_text

__all__ = [
    "DEADLINE_SECONDS",
    "Answer",
    "AnswerState",
    "Finding",
    "NotAsked",
    "NotReady",
    "Service",
    "ask_services",
    "hide_secrets",
    "list_findings",
    "services",
]

#: For all services together: they are asked at the same time.
DEADLINE_SECONDS = 10.0
_LONGEST_PROBLEM = 400

# Names of settings and options whose values are nobody's business. Shorter values than these
# would be found in words.
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:keys?|key_fallbacks|secrets?|passw(?:or)?d|tokens?|pin|pepper|connection_string)$",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 4


class NotAsked(Exception):
    """There is nothing harmless to ask this service; the text says why."""


class NotReady(Exception):
    """It answers, and still something has to be done; the text says what."""


class AnswerState(StrEnum):
    """What became of a question."""

    UP = "up"
    DOWN = "down"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is dangerous, broken or without effect."""

    id: str
    problem: str
    advice: str


@dataclass(frozen=True, kw_only=True)
class Service:
    """Somebody whom the project needs."""

    name: str
    #: Raises what it likes where there is no good answer, `NotAsked` where none can be had.
    ask: Callable[[], object]
    #: What to do when it raises.
    advice: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a service answered; `detail` says why it did not."""

    name: str
    state: AnswerState
    detail: str = ""
    advice: str = ""


Lister = Callable[[], Iterable[Service]]
_listers: dict[str, Lister] = {}


def services(lister: Lister) -> Lister:
    """Have the doctor ask the services that this function returns."""
    _listers[f"{lister.__module__}.{lister.__qualname__}"] = lister
    return lister


def list_findings() -> list[Finding]:
    """Run Django's system checks with --deploy and return what they find, warnings included.

    A check that breaks is a finding too, and the others are run all the same.
    """
    found: list[CheckMessage] = []
    broken: dict[str, list[str]] = {}
    for check in registry.get_checks(include_deployment_checks=True):
        if Tags.database in check.tags:
            continue  # these ask the database; Django runs them with `migrate`
        try:
            found += check(app_configs=None, databases=None)
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            broken.setdefault(_sentence(error), []).append(_name_of(check))
    return [
        *(_finding(each) for each in found if each.level >= WARNING and not each.is_silenced()),
        *(
            Finding(
                id="ntc_doctor.E001",
                problem=f"{', '.join(names)} broke: {error}",
                advice="Mend what the exception names; these checks have found nothing yet.",
            )
            for error, names in broken.items()
        ),
    ]


def ask_services(*, deadline_seconds: float = DEADLINE_SECONDS) -> list[Answer]:
    """Ask every service at the same time; who has not answered by the deadline is down."""
    autodiscover_modules("doctor")
    asked = [_Asking(service) for service in _list_services()]
    ends_at = time.monotonic() + deadline_seconds
    return [each.wait(ends_at) for each in asked]


def hide_secrets(text: str) -> str:
    """Return the text in one line, without people, and without any secret of the settings."""
    for secret in sorted(_list_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    # What somebody else wrote must not steer the terminal.
    return "".join(each if each.isprintable() else " " for each in mask_text(text))


class _Asking:
    """One question, in a thread that nobody waits for longer than the deadline."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._answered = Event()
        self._answer = self._make(AnswerState.DOWN, "It did not answer before the deadline.")
        Thread(target=self._run, name=f"doctor-{service.name}", daemon=True).start()

    def wait(self, ends_at: float) -> Answer:
        self._answered.wait(max(0.0, ends_at - time.monotonic()))
        return self._answer

    def _run(self) -> None:
        try:
            self._service.ask()
            self._answer = self._make(AnswerState.UP)
        except NotAsked as error:
            self._answer = self._make(AnswerState.NOT_ASKED, _sentence(error))
        except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
            self._answer = self._make(AnswerState.DOWN, _sentence(error))
        finally:
            # The connections of this thread; nobody else would close them.
            connections.close_all()
            self._answered.set()

    def _make(self, state: AnswerState, detail: str = "") -> Answer:
        advice = self._service.advice if state is AnswerState.DOWN else ""
        return Answer(name=self._service.name, state=state, detail=detail, advice=advice)


@services
def _list_core_services() -> Iterator[Service]:
    for alias in connections:
        place = f"DATABASES[{alias!r}]"
        yield Service(
            name=f"database {alias}",
            ask=partial(ask_database, alias),
            advice=f"Check {place}, and whether that server runs.",
        )
        yield Service(
            name=f"migrations {alias}",
            ask=partial(_require_migrated, alias),
            advice=f"Run manage.py migrate --database {alias}.",
        )
    for alias in settings.CACHES:
        yield Service(
            name=f"cache {alias}",
            ask=partial(ask_cache, alias),
            advice=f"Check CACHES[{alias!r}], and whether that server runs.",
        )
    if broker_url():
        yield Service(
            name="broker",
            ask=ask_broker,
            advice="Check CELERY_BROKER_URL, and whether that server runs.",
        )


def _require_migrated(alias: str) -> None:
    try:
        executor = MigrationExecutor(connections[alias])
    except OperationalError as error:
        raise NotAsked("its database does not answer") from error
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in waiting)
        raise NotReady(f"{len(waiting)} migrations wait: {names}.")


def _list_services() -> Iterator[Service]:
    for name, lister in _listers.items():
        try:
            yield from list(lister())
        except Exception as error:  # noqa: BLE001 - settings may be of any shape
            yield Service(
                name=name,
                ask=partial(_raise, error),
                advice="Mend the setting that the checks name.",
            )


def _raise(error: Exception) -> None:
    raise error


def _finding(message: CheckMessage) -> Finding:
    subject = f"{message.obj}: " if message.obj is not None else ""
    return Finding(
        id=message.id or "",
        problem=hide_secrets(f"{subject}{message.msg}"),
        advice=hide_secrets(str(message.hint or "")),
    )


def _name_of(check: Any) -> str:
    return f"{check.__module__}.{getattr(check, '__name__', check)}"


def _sentence(error: Exception) -> str:
    own = isinstance(error, NotAsked | NotReady)
    text = hide_secrets(str(error) if own else f"{type(error).__name__}: {error}")
    return text if len(text) <= _LONGEST_PROBLEM else f"{text[: _LONGEST_PROBLEM - 1]}…"


def _list_secrets() -> set[str]:
    found = _walk({name: getattr(settings, name) for name in dir(settings) if name.isupper()})
    return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def _walk(value: Any, *, is_secret: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _walk(item, is_secret=is_secret or bool(_SECRET_NAME.search(str(name))))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _walk(item, is_secret=is_secret)
    elif isinstance(value, str):
        if is_secret:
            yield value
        yield from _password_of(value)


def _password_of(text: str) -> Iterator[str]:
    try:
        password = urlsplit(text).password if "://" in text else None
    except ValueError:
        return
    if password:
        yield from {password, unquote(password)}
