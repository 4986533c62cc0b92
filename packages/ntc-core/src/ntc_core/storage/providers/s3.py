"""Amazon S3, and what speaks like it. Plain Python.

The address that takes the bytes is a PUT whose signature binds the key, the exact length, the type,
and `If-None-Match: *`: it writes once. boto3 signs and reads, our own client carries, except for
whole files, which the SDK streams.

boto3 is imported at the first call, so that a project without S3 never loads it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from threading import Lock
from typing import IO, Any, ClassVar
from urllib.parse import urlsplit

from ntc_core.http import HttpFailure
from ntc_core.http.aws import carry_for_boto, quiet_boto_log
from ntc_core.storage.errors import ObjectChanged, StorageUnavailable
from ntc_core.storage.providers.base import (
    Progress,
    StorageProvider,
    StoredObject,
    UploadRequest,
)
from ntc_core.storage.providers.extras import require_installed

__all__ = ["S3Provider"]

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5
#: For one read of a whole file's transfer; how long it takes in all depends on the file.
READ_SECONDS = 30


class S3Provider(StorageProvider):
    """Keeps files in a private bucket."""

    name: ClassVar[str] = "s3"

    def __init__(
        self,
        *,
        bucket: str,
        region: str,
        access_key_id: str = "",
        secret_access_key: str = "",
        endpoint_url: str = "",
        timeout_seconds: float = 10.0,
    ) -> None:
        """Args:
        access_key_id, secret_access_key: both or neither; without them the SDK looks for the
            role of the machine it runs on.
        endpoint_url: of a service that only speaks like S3; its buckets are in the path.
        timeout_seconds: for one call, everything included.
        """
        require_installed("boto3", extra="s3")
        if bool(access_key_id) != bool(secret_access_key):
            raise ValueError("access_key_id and secret_access_key go together: set both or none.")
        if endpoint_url and urlsplit(endpoint_url).scheme not in {"http", "https"}:
            raise ValueError("endpoint_url must be a URL such as https://minio.internal.")
        self._bucket = bucket
        self._timeout_seconds = timeout_seconds
        self._options: dict[str, Any] = {
            "region_name": region,
            "aws_access_key_id": access_key_id or None,
            "aws_secret_access_key": secret_access_key or None,
            "endpoint_url": endpoint_url or None,
        }
        self._clients: dict[bool, Any] = {}
        self._lock = Lock()

    def sign_upload(
        self, *, key: str, content_type: str, size: int, expires_at: datetime
    ) -> UploadRequest:
        headers = {"Content-Type": content_type, "If-None-Match": "*"}
        parameters = {"ContentType": content_type, "ContentLength": size, "IfNoneMatch": "*"}
        url = self._sign("put_object", key, parameters, expires_at)
        # Content-Length is signed as well; clients send it by themselves, and browsers only so.
        return UploadRequest(method="PUT", url=url, headers=headers, expires_at=expires_at)

    def sign_read(
        self, *, key: str, content_type: str, disposition: str, expires_at: datetime
    ) -> str:
        parameters = {
            "ResponseContentType": content_type,
            "ResponseContentDisposition": disposition,
        }
        return self._sign("get_object", key, parameters, expires_at)

    def inspect(self, key: str, *, head_bytes: int) -> StoredObject | None:
        """Ask for the first bytes: the answer has the whole size and the etag besides."""
        try:
            with _explained():
                answer = self._client().get_object(
                    Bucket=self._bucket, Key=key, Range=f"bytes=0-{head_bytes - 1}"
                )
                # "bytes 0-63/12345"; without it the answer is the whole object.
                whole = str(answer.get("ContentRange", "")).rpartition("/")[2]
                return StoredObject(
                    size=int(whole or answer["ContentLength"]),
                    etag=answer["ETag"],
                    head=answer["Body"].read(),
                )
        except FileNotFoundError:
            return None
        except _EmptyObject:
            return StoredObject(size=0, etag="")

    def copy(self, *, source: str, target: str, etag: str, content_type: str) -> str:
        try:
            with _explained():
                answer = self._client().copy_object(
                    Bucket=self._bucket,
                    Key=target,
                    CopySource={"Bucket": self._bucket, "Key": source},
                    CopySourceIfMatch=etag,
                    MetadataDirective="REPLACE",
                    ContentType=content_type,
                )
                return str(answer["CopyObjectResult"]["ETag"])
        except FileNotFoundError as error:
            raise ObjectChanged from error

    def delete(self, key: str) -> None:
        with _explained():
            self._client().delete_object(Bucket=self._bucket, Key=key)

    def write(
        self, key: str, file: IO[bytes], *, content_type: str, progress: Progress | None
    ) -> None:
        with _explained():
            self._client(streams=True).upload_fileobj(
                file,
                self._bucket,
                key,
                ExtraArgs={"ContentType": content_type},
                Callback=_Sum(progress) if progress else None,
            )

    def read(self, key: str, into: IO[bytes], *, progress: Progress | None) -> None:
        with _explained():
            self._client(streams=True).download_fileobj(
                self._bucket, key, into, Callback=_Sum(progress) if progress else None
            )

    def _sign(
        self, operation: str, key: str, parameters: dict[str, Any], expires_at: datetime
    ) -> str:
        seconds = max(1, round((expires_at - datetime.now(UTC)).total_seconds()))
        with _explained():
            url: str = self._client().generate_presigned_url(
                operation,
                Params={"Bucket": self._bucket, "Key": key, **parameters},
                ExpiresIn=seconds,
            )
        return url

    def _client(self, *, streams: bool = False) -> Any:
        with self._lock:
            if streams not in self._clients:
                self._clients[streams] = self._make_client(streams=streams)
            return self._clients[streams]

    def _make_client(self, *, streams: bool) -> Any:
        import boto3.session  # noqa: PLC0415 - an extra
        from botocore.config import Config  # noqa: PLC0415 - an extra

        is_amazon = self._options["endpoint_url"] is None
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "virtual" if is_amazon else "path"},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS if streams else self._timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": 3 if streams else 1},
            # Else a checksum of nothing would be signed into the address.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        # A session of its own: the SDK's default one is not made for threads.
        client = boto3.session.Session().client("s3", config=config, **self._options)
        quiet_boto_log()
        if not streams:
            carry_for_boto(client, timeout_seconds=self._timeout_seconds)
        return client


class _EmptyObject(Exception):
    """There is an object, and no byte in it."""


@contextmanager
def _explained() -> Iterator[None]:
    """Raise what callers understand in the place of what the SDK and the network raise."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 - an extra
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra

    try:
        yield
    except ClientError as error:
        raise _translate(error.response) from error
    except (Boto3Error, BotoCoreError, HttpFailure) as error:
        raise _unavailable(type(error).__name__) from error


def _translate(response: Mapping[str, Any]) -> Exception:
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code = response.get("Error", {}).get("Code")
    # A bucket that is missing is nothing that a client could mend.
    if status == HTTPStatus.NOT_FOUND and code != "NoSuchBucket":
        return FileNotFoundError()
    if status == HTTPStatus.PRECONDITION_FAILED:
        return ObjectChanged()
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return _EmptyObject()
    return _unavailable(str(code or status))


def _unavailable(why: str) -> StorageUnavailable:
    # Whoever asked is told nothing of it; whoever can mend it reads the log.
    log.warning("storage.unavailable", extra={"provider": S3Provider.name, "error": why})
    return StorageUnavailable()


class _Sum:
    """Adds up what the SDK tells piece by piece, from several threads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self._lock = Lock()

    def __call__(self, more: int) -> None:
        with self._lock:
            self._done += more
            self._progress(self._done)
