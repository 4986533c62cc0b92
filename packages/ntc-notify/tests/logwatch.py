"""Everything that any logger said at INFO or above in a whole test run, searched for people."""

from __future__ import annotations

import logging
from pathlib import Path

from ntc_core.logging import JSONLinesFormatter

__all__ = ["LogWatch"]

#: Loggers of the peers that tests run in this process; they are somebody else.
_PEERS = ("mail.log", "mail.debug", "asyncio")


class LogWatch(logging.FileHandler):
    """Writes each record as production would, to be searched in the end."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8")
        self.path = path
        self.setLevel(logging.INFO)
        self.setFormatter(JSONLinesFormatter())
        self.addFilter(lambda record: not record.name.startswith(_PEERS))

    def find(self, *words: str) -> list[str]:
        """Return the lines in which one of these is."""
        self.flush()
        lines = self.path.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if any(word in line for word in words)]
