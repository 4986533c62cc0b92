"""Azure Blob Storage. Plain Python.

The address that takes the bytes is signed to create one blob, not to replace it, for a short
time. Azure binds neither the length nor the type: both are looked at on completion. The SDK signs
and reads, our own client carries, except for whole files, which the SDK streams.

The SDK is imported at the first call, so that a project without Azure never loads it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Lock
from typing import IO, Any, ClassVar
from urllib.parse import urlsplit

from ntc_core.http import HttpFailure
from ntc_core.storage.errors import ObjectChanged, StorageUnavailable
from ntc_core.storage.providers.base import (
    Progress,
    StorageProvider,
    StoredObject,
    UploadRequest,
)
from ntc_core.storage.providers.extras import require_installed

__all__ = ["AzureProvider"]

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5
#: For one read of a whole file's transfer; how long it takes in all depends on the file.
READ_SECONDS = 30


class AzureProvider(StorageProvider):
    """Keeps files in a private container."""

    name: ClassVar[str] = "azure"

    def __init__(
        self, *, connection_string: str, container: str, timeout_seconds: float = 10.0
    ) -> None:
        """Args:
        connection_string: with AccountName and AccountKey; the key signs addresses.
        timeout_seconds: for one call, everything included.
        """
        require_installed("azure-storage-blob", extra="azure")
        pairs = (part.partition("=") for part in connection_string.split(";"))
        parts = {name.strip().lower(): value for name, _, value in pairs}
        if not parts.get("accountname") or not parts.get("accountkey"):
            raise ValueError("connection_string must have AccountName and AccountKey.")
        self._connection_string = connection_string
        self._account_name = parts["accountname"]
        self._account_key = parts["accountkey"]
        self._container = container
        self._timeout_seconds = timeout_seconds
        self._services: dict[bool, Any] = {}
        self._lock = Lock()

    def sign_upload(
        self,
        *,
        key: str,
        content_type: str,
        size: int,  # noqa: ARG002 - Azure cannot bind it
        expires_at: datetime,
    ) -> UploadRequest:
        return UploadRequest(
            method="PUT",
            url=self._sign(key, expires_at=expires_at, create=True),
            headers={"Content-Type": content_type, "x-ms-blob-type": "BlockBlob"},
            expires_at=expires_at,
        )

    def sign_read(
        self, *, key: str, content_type: str, disposition: str, expires_at: datetime
    ) -> str:
        return self._sign(
            key,
            expires_at=expires_at,
            read=True,
            content_type=content_type,
            disposition=disposition,
        )

    def inspect(self, key: str, *, head_bytes: int) -> StoredObject | None:
        """Ask for the first bytes: the answer has the whole size and the etag besides."""
        try:
            with _explained():
                answer = self._blob(key).download_blob(offset=0, length=head_bytes)
                # "bytes 0-63/12345": `size` would be that of the part.
                whole = answer.properties.content_range.rpartition("/")[2]
                return StoredObject(
                    size=int(whole), etag=answer.properties.etag, head=answer.readall()
                )
        except FileNotFoundError:
            return None
        except _EmptyBlob:
            return StoredObject(size=0, etag="")

    def copy(self, *, source: str, target: str, etag: str, content_type: str) -> str:  # noqa: ARG002 - told by the address that reads
        from azure.core import MatchConditions  # noqa: PLC0415 - an extra

        try:
            with _explained():
                answer = self._blob(target).start_copy_from_url(
                    self._blob(source).url,
                    source_etag=etag,
                    source_match_condition=MatchConditions.IfNotModified,
                )
        except FileNotFoundError as error:
            raise ObjectChanged from error
        if answer["copy_status"] != "success":
            # Within an account it is done at once; if ever not, completing again finds it.
            raise StorageUnavailable("The file is still being stored. Complete it again.")
        return str(answer["etag"])

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError), _explained():
            self._blob(key).delete_blob(delete_snapshots="include")

    def write(
        self, key: str, file: IO[bytes], *, content_type: str, progress: Progress | None
    ) -> None:
        from azure.storage.blob import ContentSettings  # noqa: PLC0415 - an extra

        with _explained():
            self._blob(key, streams=True).upload_blob(
                file,
                overwrite=True,
                content_settings=ContentSettings(content_type=content_type),
                progress_hook=_hook(progress),
            )

    def read(self, key: str, into: IO[bytes], *, progress: Progress | None) -> None:
        with _explained():
            blob = self._blob(key, streams=True)
            blob.download_blob(progress_hook=_hook(progress)).readinto(into)

    def _sign(
        self,
        key: str,
        *,
        expires_at: datetime,
        read: bool = False,
        create: bool = False,
        content_type: str | None = None,
        disposition: str | None = None,
    ) -> str:
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415

        url = str(self._blob(key).url)
        signature = generate_blob_sas(
            account_name=self._account_name,
            container_name=self._container,
            blob_name=key,
            account_key=self._account_key,
            permission=BlobSasPermissions(read=read, create=create),
            expiry=expires_at,
            # An address in the open is an address for everybody.
            protocol="https" if urlsplit(url).scheme == "https" else None,
            content_type=content_type,
            content_disposition=disposition,
        )
        return f"{url}?{signature}"

    def _blob(self, key: str, *, streams: bool = False) -> Any:
        with self._lock:
            if streams not in self._services:
                self._services[streams] = self._make_service(streams=streams)
            return self._services[streams].get_blob_client(self._container, key)

    def _make_service(self, *, streams: bool) -> Any:
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - an extra

        from ntc_core.http.azure import make_azure_transport, quiet_azure_log  # noqa: PLC0415

        quiet_azure_log()
        if streams:
            return BlobServiceClient.from_connection_string(
                self._connection_string,
                connection_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
            )
        endpoint = BlobServiceClient.from_connection_string(self._connection_string).url
        return BlobServiceClient.from_connection_string(
            self._connection_string,
            transport=make_azure_transport(
                endpoint=endpoint, timeout_seconds=self._timeout_seconds
            ),
            retry_total=0,
            permit_redirects=False,
            # Another host is not asked when one does not answer.
            secondary_hostname=None,
        )


class _EmptyBlob(Exception):
    """There is a blob, and no byte in it."""


@contextmanager
def _explained() -> Iterator[None]:
    """Raise what callers understand in the place of what the SDK and the network raise."""
    from azure.core.exceptions import (  # noqa: PLC0415 - an extra
        AzureError,
        ResourceModifiedError,
        ResourceNotFoundError,
    )

    try:
        yield
    except ResourceModifiedError as error:
        raise ObjectChanged from error
    except ResourceNotFoundError as error:
        # A container that is missing is nothing that a client could mend.
        if getattr(error, "error_code", "") == "ContainerNotFound":
            raise _unavailable("ContainerNotFound") from error
        raise FileNotFoundError from error
    except (AzureError, HttpFailure) as error:
        if getattr(error, "error_code", "") == "InvalidRange":
            raise _EmptyBlob from error
        why = str(getattr(error, "error_code", "") or type(error).__name__)
        raise _unavailable(why) from error


def _unavailable(why: str) -> StorageUnavailable:
    # Whoever asked is told nothing of it; whoever can mend it reads the log.
    log.warning("storage.unavailable", extra={"provider": AzureProvider.name, "error": why})
    return StorageUnavailable()


def _hook(progress: Progress | None) -> Callable[[int, int | None], None] | None:
    if progress is None:
        return None
    return lambda done, _: progress(done)
