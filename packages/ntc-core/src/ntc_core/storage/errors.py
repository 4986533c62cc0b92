"""What goes wrong with files. Plain Python: providers raise some of these."""

from __future__ import annotations

from ntc_core.errors import Conflict, NtcError, PermissionRefused, Unavailable, Unprocessable

__all__ = [
    "AddressInvalid",
    "ObjectChanged",
    "ObjectExists",
    "StorageUnavailable",
    "UploadIncomplete",
    "UploadRefused",
]


class ObjectChanged(Exception):
    """The object is another one than was looked at, or gone."""


class StorageUnavailable(Unavailable):
    """Where files are kept does not answer, or refuses us."""

    code = "storage_unavailable"
    message = "Files cannot be stored or read right now. Try again shortly."


class UploadIncomplete(Conflict):
    """The bytes are not there yet."""

    code = "upload_incomplete"
    message = "The file has not arrived. Send it as the upload says, then complete it again."


class UploadRefused(Unprocessable):
    """The bytes are not what was announced; they are removed."""

    code = "upload_refused"
    message = "The file is not what was announced. Begin a new upload."


class AddressInvalid(PermissionRefused):
    """The signed address was changed, or is over."""

    code = "address_invalid"
    message = "This address is not valid, or not any more. Ask for a new one."


class ObjectExists(NtcError):
    """An address takes a file once."""

    code = "upload_exists"
    http_status = 412
    message = "The file has arrived already. Complete the upload."
