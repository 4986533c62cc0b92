"""A folder of this machine. Plain Python.

The client sends its bytes to a view of ours (`ntc_core.storage.local_views`), whose address is
signed here as the other places sign theirs: method, key, type, size and end are bound. Bytes lie
under a name of their own until they are complete, so a name with an end is a whole file.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from ntc_core.storage.errors import AddressInvalid, ObjectChanged, ObjectExists
from ntc_core.storage.providers.base import (
    Progress,
    StorageProvider,
    StoredObject,
    UploadRequest,
)

__all__ = ["LocalProvider"]

CHUNK_BYTES = 64 * 1024
SHORTEST_KEY = 32

_KEY = re.compile(r"[a-z]+/[0-9a-f]{32}\.[a-z0-9]{1,8}")


class LocalProvider(StorageProvider):
    """Keeps files in a folder; for development, and for one machine with a disk that is kept."""

    name: ClassVar[str] = "local"

    def __init__(self, *, directory: str, base_url: str, signing_key: str) -> None:
        """Args:
        directory: made at the first write; only this service reads and writes in it.
        base_url: where `ntc_core.storage.urls` puts the view: `https://…/api/v1/uploads/local`.
        signing_key: of at least 32 characters.
        """
        if urlsplit(base_url).scheme not in {"http", "https"}:
            raise ValueError("base_url must be a URL such as https://host/api/v1/uploads/local.")
        if len(signing_key) < SHORTEST_KEY:
            raise ValueError(f"signing_key must have at least {SHORTEST_KEY} characters.")
        self._directory = Path(directory)
        self._base_url = base_url.rstrip("/")
        self._signing_key = signing_key.encode()

    # Addresses.

    def sign_upload(
        self, *, key: str, content_type: str, size: int, expires_at: datetime
    ) -> UploadRequest:
        facts = {"type": content_type, "size": str(size), "expires": _seconds(expires_at)}
        return UploadRequest(
            method="PUT",
            url=self._sign("PUT", key, facts),
            headers={"Content-Type": content_type},
            expires_at=expires_at,
        )

    def sign_read(
        self, *, key: str, content_type: str, disposition: str, expires_at: datetime
    ) -> str:
        facts = {"type": content_type, "disposition": disposition, "expires": _seconds(expires_at)}
        return self._sign("GET", key, facts)

    def read_address(self, *, method: str, key: str, query: str) -> dict[str, str]:
        """Return what an address of ours says, if it is unchanged and not over.

        Raises:
            AddressInvalid: for either reason.
        """
        facts, separator, signature = query.rpartition("&signature=")
        expected = self._signature(method, key, facts)
        if not separator or not hmac.compare_digest(signature.encode(), expected.encode()):
            raise AddressInvalid
        said = dict(parse_qsl(facts))
        if int(said["expires"]) <= time.time():
            raise AddressInvalid
        return said

    def _sign(self, method: str, key: str, facts: dict[str, str]) -> str:
        query = urlencode(facts)
        return f"{self._base_url}/{key}?{query}&signature={self._signature(method, key, query)}"

    def _signature(self, method: str, key: str, query: str) -> str:
        text = f"{method}\n{key}\n{query}".encode()
        return hmac.new(self._signing_key, text, hashlib.sha256).hexdigest()

    # Bytes.

    def inspect(self, key: str, *, head_bytes: int) -> StoredObject | None:
        try:
            with self._path(key).open("rb") as file:
                return StoredObject(
                    size=os.fstat(file.fileno()).st_size,
                    etag=_etag(os.fstat(file.fileno())),
                    head=file.read(head_bytes),
                )
        except FileNotFoundError:
            return None

    def copy(self, *, source: str, target: str, etag: str, content_type: str) -> str:  # noqa: ARG002 - a file has no type
        """Give the file a second name: no file of ours is ever written to again."""
        path = self._path(target)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            path.hardlink_to(self._path(source))
        except FileExistsError:
            pass
        except FileNotFoundError:
            raise ObjectChanged from None
        if _etag(path.stat()) != etag:
            raise ObjectChanged
        return etag

    def delete(self, key: str) -> None:
        path = self._path(key)
        _part(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def receive(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write what a client sends, all or nothing.

        Raises:
            ObjectExists: there is a file, or another call is writing it.
        """
        with self._writing(self._path(key)) as file:
            for chunk in chunks:
                file.write(chunk)

    def write(
        self,
        key: str,
        file: IO[bytes],
        *,
        content_type: str,  # noqa: ARG002 - a file has no type
        progress: Progress | None,
    ) -> None:
        with self._writing(self._path(key)) as target:
            _copy(file, target, progress)

    def read(self, key: str, into: IO[bytes], *, progress: Progress | None) -> None:
        with self.open(key) as file:
            _copy(file, into, progress)

    def open(self, key: str) -> IO[bytes]:
        """Open a whole file to read.

        Raises:
            FileNotFoundError: there is none.
        """
        return self._path(key).open("rb")

    @contextmanager
    def _writing(self, path: Path) -> Iterator[IO[bytes]]:
        """Write under another name that only one holds; it becomes the file if all goes well.

        What a killed process has left under that name is written over, or goes with `delete()`.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = _part(path)
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ObjectExists from None
            # Who held the lock a moment ago may have made its file of what we opened.
            if path.exists() or not _is_same(file, part):
                raise ObjectExists
            file.truncate(0)
            try:
                yield file
            except BaseException:
                part.unlink(missing_ok=True)
                raise
            file.flush()
            os.fsync(file.fileno())
            try:
                part.replace(path)
            except FileNotFoundError:
                # The upload was let go meanwhile.
                raise AddressInvalid from None

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise FileNotFoundError(f"No key of ours: {key[:80]!r}.")
        return self._directory / key


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _is_same(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _copy(source: IO[bytes], target: IO[bytes], progress: Progress | None) -> None:
    if progress is None:
        shutil.copyfileobj(source, target, CHUNK_BYTES)
        return
    done = 0
    while chunk := source.read(CHUNK_BYTES):
        target.write(chunk)
        done += len(chunk)
        progress(done)


def _etag(status: os.stat_result) -> str:
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _seconds(moment: datetime) -> str:
    return str(int(moment.timestamp()))
