"""A rotating log file that several processes may write to.

The standard `RotatingFileHandler` is for one process: with several web processes, one renames
the file while the others go on writing to the old one, and soon two of them rotate at once
and a whole file is lost.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

__all__ = ["SharedRotatingFileHandler"]


class SharedRotatingFileHandler(RotatingFileHandler):
    """Rotate under a lock file, and follow a rotation that another process did."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write to the file that has the name now."""
        if self._was_rotated():
            self._reopen()
        super().emit(record)

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name
        """Rotate, unless another process just did."""
        with self._only_one_process():
            if not self._was_rotated():
                super().doRollover()
                return
        self._reopen()

    def _reopen(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream = self._open()

    def _was_rotated(self) -> bool:
        """Tell whether our open file is no longer the one that has the name."""
        if self.stream is None:
            return False
        try:
            named = Path(self.baseFilename).stat()
        except FileNotFoundError:
            return True
        opened = os.fstat(self.stream.fileno())
        return (named.st_dev, named.st_ino) != (opened.st_dev, opened.st_ino)

    @contextmanager
    def _only_one_process(self) -> Iterator[None]:
        with Path(f"{self.baseFilename}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
