"""What a place for files can do. Plain Python: no Django, no settings, no rows.

A client sends the bytes to a key that is signed for it, once. Once they are looked at they are
copied to a key that nobody else can write to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, ClassVar

__all__ = ["Progress", "StorageProvider", "StoredObject", "UploadRequest"]

#: Told how many bytes are through so far.
Progress = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class UploadRequest:
    """The request with which a client sends its bytes, until the address ends."""

    method: str
    #: A secret while it lasts.
    url: str = field(repr=False)
    #: To be sent exactly so.
    headers: Mapping[str, str]
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What is there, according to where it is."""

    size: int
    #: Names these bytes; others at the same key have another one.
    etag: str
    head: bytes = field(default=b"", repr=False)


class StorageProvider(ABC):
    """One place. Thread-safe; built once per process. Every method but `sign_*` may raise
    `StorageUnavailable`.
    """

    name: ClassVar[str]

    @abstractmethod
    def sign_upload(
        self, *, key: str, content_type: str, size: int, expires_at: datetime
    ) -> UploadRequest:
        """Return the request that may put these bytes there, bound as far as the place can."""

    @abstractmethod
    def sign_read(
        self, *, key: str, content_type: str, disposition: str, expires_at: datetime
    ) -> str:
        """Return an address that shows the object, with this type and Content-Disposition."""

    @abstractmethod
    def inspect(self, key: str, *, head_bytes: int) -> StoredObject | None:
        """Return what is at the key, with its first bytes; None: nothing."""

    @abstractmethod
    def copy(self, *, source: str, target: str, etag: str, content_type: str) -> str:
        """Copy the object if it is still the one with this etag; return the copy's etag.

        Doing it again is the same.

        Raises:
            ObjectChanged: it is another one, or gone.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object; nothing there is as good."""

    @abstractmethod
    def write(
        self, key: str, file: IO[bytes], *, content_type: str, progress: Progress | None
    ) -> None:
        """Put the rest of an open file there, of whatever size."""

    @abstractmethod
    def read(self, key: str, into: IO[bytes], *, progress: Progress | None) -> None:
        """Write the object, of whatever size, into an open file.

        Raises:
            FileNotFoundError: there is nothing at the key.
        """
