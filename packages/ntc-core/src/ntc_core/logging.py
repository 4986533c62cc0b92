"""Logging: one event per line, for people on the console, as JSON for machines.

    LOGGING = build_logging(level="INFO", json=True, log_dir="/var/log/shop", project="shop")

Write with stdlib (`log.info("payment.settled", extra={"reference": …})`) or with structlog
(`log.info("payment.settled", reference=…)`): both become the same record, get the request
id, are masked (`ntc_core.masking`) and come out once.
"""

from __future__ import annotations

import datetime as dt
import json as stdlib_json
import logging
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import orjson
import structlog
from django.core.exceptions import ImproperlyConfigured

from ntc_core.logfile import SharedRotatingFileHandler
from ntc_core.masking import mask_text, mask_value
from ntc_core.request_id import bind_request_id, get_request_id

__all__ = [
    "ConsoleFormatter",
    "JSONLinesFormatter",
    "SharedRotatingFileHandler",
    "bind_request_id",
    "build_logging",
    "configure_structlog",
    "get_request_id",
]

LOG_FILE_MAX_BYTES = 20 * 1024 * 1024
LOG_FILES_KEPT = 5
#: Some 150 frames; what a message quotes could be any length.
LONGEST_TRACEBACK = 32 * 1024

# Where a structlog event carries its fields: there they cannot clash with LogRecord's own.
_FIELDS = "ntc_fields"
# What ends a line somewhere or steers a terminal: the C0 and C1 controls and Unicode's line ends.
_CONTROLS = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_ESCAPED = {code: repr(chr(code))[1:-1] for code in _CONTROLS}
# JSON escapes C0 itself; the others it may hold as they are.
_ESCAPED_IN_JSON = {code: f"\\u{code:04x}" for code in _CONTROLS if code >= 0x7F}  # noqa: PLR2004 - DEL
_STANDARD_ATTRIBUTES = frozenset(logging.makeLogRecord({}).__dict__) | {
    "asctime",
    "message",
    "taskName",
    _FIELDS,
    # Django puts whole objects here; their repr has the query string.
    "request",
    "response",
}


def build_logging(
    *,
    level: str = "INFO",
    json: bool = True,
    log_dir: str | Path | None = None,
    project: str = "ntc",
) -> dict[str, Any]:
    """Return the LOGGING setting: everything through the root logger, once, to stdout.

    Args:
        level: of the root logger.
        json: JSON lines; False gives the console form.
        log_dir: also write JSON lines to `<log_dir>/<project>.log`, which is rotated and may
            be shared by all processes of one machine. The folder is made.
        project: name of the file.
    """
    handlers: dict[str, dict[str, Any]] = {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "json" if json else "console",
            "stream": "ext://sys.stdout",
        }
    }
    if log_dir:
        _require_folder(Path(log_dir))
        handlers["file"] = {
            "class": "ntc_core.logfile.SharedRotatingFileHandler",
            "formatter": "json",
            "filename": str(Path(log_dir) / f"{project}.log"),
            "maxBytes": LOG_FILE_MAX_BYTES,
            "backupCount": LOG_FILES_KEPT,
            "encoding": "utf-8",
            "delay": True,
        }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "console": {"()": "ntc_core.logging.ConsoleFormatter"},
            "json": {"()": "ntc_core.logging.JSONLinesFormatter"},
        },
        "handlers": handlers,
        "root": {"level": level, "handlers": list(handlers)},
        "loggers": {
            # Django configures handlers of its own first; without these lines every event
            # of Django would come out twice.
            "django": _through_root(),
            # Our own request line says what these two say; runserver's has the query too.
            "django.request": _through_root(level="ERROR"),
            "django.server": _through_root(level="CRITICAL"),
            # SQL with its parameters, and the URLs of companies.
            "django.db.backends": _through_root(level="INFO"),
            "httpx": _through_root(level="WARNING"),
            "httpcore": _through_root(level="WARNING"),
        },
    }


class _EventFormatter(logging.Formatter):
    """Turn a record into a dict of plain, masked values."""

    def event_of(self, record: logging.LogRecord) -> dict[str, Any]:
        moment = dt.datetime.fromtimestamp(record.created, tz=dt.UTC)
        event: dict[str, Any] = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": mask_text(_message_of(record)),
        }
        if request_id := get_request_id():
            event["request_id"] = request_id
        for name, value in _fields_of(record).items():
            event[f"{name}_" if name in event else name] = mask_value(name, value)
        if record.exc_info and record.exc_info[0] is not None:
            event["exception"] = mask_text(
                self.formatException(record.exc_info), longest=LONGEST_TRACEBACK
            )
        elif record.exc_text:
            event["exception"] = mask_text(record.exc_text, longest=LONGEST_TRACEBACK)
        if record.stack_info:
            event["stack"] = mask_text(record.stack_info, longest=LONGEST_TRACEBACK)
        return event


class JSONLinesFormatter(_EventFormatter):
    """One JSON object per line: timestamp, level, logger, event, request_id, fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        event = self.event_of(record)
        try:
            return orjson.dumps(event).decode().translate(_ESCAPED_IN_JSON)
        except orjson.JSONEncodeError:
            # Integers above 64 bits and lone surrogates.
            return stdlib_json.dumps(event)


class ConsoleFormatter(_EventFormatter):
    """`08:15:02.113 INFO    request.finished  method=GET status=200  [ntc_core.request]`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the traceback below it."""
        event = self.event_of(record)
        time = event.pop("timestamp")[11:23]
        head = f"{time} {event.pop('level').upper():<7} {_one_line(event.pop('event'))}"
        logger = event.pop("logger")
        below = [event.pop(name) for name in ("exception", "stack") if name in event]
        fields = " ".join(f"{name}={_one_line(value)}" for name, value in event.items())
        return "\n".join([f"{head}  {fields}{'  ' if fields else ''}[{logger}]", *below])


def configure_structlog() -> None:
    """Send structlog's events through stdlib logging, unless the project has its own way."""
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _to_record,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _require_folder(folder: Path) -> None:
    """Make the folder of the log file, or stop the start-up with a sentence."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        usable = False
    if not usable:
        raise ImproperlyConfigured(
            f"LOG_DIR is {str(folder)!r}, where this process cannot write. Expected a folder that "
            "is there or can be made, writable for the user that runs us; or leave it empty."
        )


def _through_root(**options: Any) -> dict[str, Any]:
    return {"handlers": [], "propagate": True, **options}


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - else logging prints the arguments, unmasked, to stderr
        return f"{record.msg} (its arguments do not fit)"


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    fields = {
        name: value for name, value in record.__dict__.items() if name not in _STANDARD_ATTRIBUTES
    }
    return {**fields, **getattr(record, _FIELDS, {})}


def _one_line(value: Any) -> str:
    """Keep a value from faking a line of its own."""
    text = value if isinstance(value, str) else repr(value)
    return text.translate(_ESCAPED)


def _to_record(
    _logger: Any, _method: str, event_dict: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    """Turn a structlog event into the arguments of `logging.Logger.log`."""
    event = event_dict.pop("event", "")
    arguments = {
        name: event_dict.pop(name)
        for name in ("exc_info", "stack_info", "stacklevel")
        if name in event_dict
    }
    return {"msg": event, "extra": {_FIELDS: dict(event_dict)}, **arguments}
