"""The `NTC_STORAGE_*` settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ntc_core.conf import AppSettings
from ntc_core.storage.file_types import FILE_TYPES

__all__ = ["DEFAULT_PURPOSE", "StorageSettings", "file_settings"]

MIB = 1024 * 1024
#: The purpose of an upload whose client names none.
DEFAULT_PURPOSE = "file"


class StorageSettings(AppSettings):
    """What a project may decide about files."""

    #: Name -> options, as `storage_settings()` makes it. New files go to the first; the others
    #: still serve what is theirs. Empty: nothing can be uploaded.
    STORAGE_PROVIDERS: Mapping[str, Mapping[str, Any]] = {}
    #: What clients may upload: purpose -> {"types": content types, "max_bytes": number}.
    STORAGE_PURPOSES: Mapping[str, Mapping[str, Any]] = {
        DEFAULT_PURPOSE: {"types": tuple(FILE_TYPES), "max_bytes": 10 * MIB},
    }
    #: How long an address takes the bytes. Large files begin within it and may end later.
    STORAGE_UPLOAD_SECONDS: int = 15 * 60
    #: How long an address shows a file.
    STORAGE_READ_SECONDS: int = 60 * 60
    #: After that, what is not attached to anything is removed.
    STORAGE_ORPHAN_HOURS: int = 24


file_settings = StorageSettings()
