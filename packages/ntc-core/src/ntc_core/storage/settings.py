"""Read where files are kept from the environment. For settings modules: imports no app.

    files = storage_settings(env.text, default="local", directory=…, local_url=…, secret_key=…)
    STORAGES = {"default": files.django_storage, "staticfiles": …}
    NTC_STORAGE_PROVIDERS = files.providers

Both halves point to the same place: Django's own storage (`FileField`, `default_storage`) through
django-storages, and our uploads. They stay out of each other's way by the beginning of their keys.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

__all__ = ["StorageChoice", "read_environment", "storage_settings"]

Read = Callable[[str], str]

#: Where Django's own storage puts its files, beside our `incoming/` and `files/`.
DJANGO_PREFIX = "media"
#: Addresses that Django's own storage hands out are private and end, as ours do.
DJANGO_URL_SECONDS = 60 * 60


@dataclass(frozen=True, kw_only=True)
class StorageChoice:
    """What STORAGE_PROVIDER comes to."""

    #: For `STORAGES["default"]`; has secrets.
    django_storage: dict[str, Any] = field(repr=False)
    #: For `NTC_STORAGE_PROVIDERS`; has secrets. Empty: no uploads.
    providers: dict[str, dict[str, Any]] = field(repr=False)


def read_environment(name: str) -> str:
    """Return a variable without surrounding white space; not set: ""."""
    return os.environ.get(name, "").strip()


def storage_settings(
    read: Read = read_environment,
    *,
    default: str = "",
    directory: str | Path = "",
    local_url: str = "",
    secret_key: str = "",
) -> StorageChoice:
    """Turn STORAGE_PROVIDER and the variables of its place into settings.

    Args:
        read: returns the value of a variable, "" where it is not set.
        default: where files are kept if STORAGE_PROVIDER is not set; "": nowhere.
        directory: of `local`, if STORAGE_DIR is not set.
        local_url: where `ntc_core.storage.urls` is: `https://…/api/v1/uploads/local`.
        secret_key: what the addresses of `local` are signed with, by a key that follows from it.

    Raises:
        ImproperlyConfigured: names the variable that is missing or wrong.
    """
    provider = (read("STORAGE_PROVIDER") or default).lower()
    if not provider:
        return StorageChoice(
            django_storage={"BACKEND": "django.core.files.storage.FileSystemStorage"}, providers={}
        )
    if provider == "local":
        return _local(read, directory=directory, local_url=local_url, secret_key=secret_key)
    if provider == "s3":
        return _s3(read)
    if provider == "azure":
        return _azure(read)
    raise _refuse(
        "STORAGE_PROVIDER", "is not a known value", expected="one of local, s3, azure, or nothing"
    )


def _local(read: Read, *, directory: str | Path, local_url: str, secret_key: str) -> StorageChoice:
    folder = read("STORAGE_DIR") or str(directory)
    if not folder:
        raise _refuse("STORAGE_DIR", "is not set", expected="a folder that is kept and backed up")
    signing_key = hmac.new(secret_key.encode(), b"ntc_storage.local", hashlib.sha256).hexdigest()
    return StorageChoice(
        django_storage={
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(Path(folder) / DJANGO_PREFIX)},
        },
        providers={
            "local": {"directory": folder, "base_url": local_url, "signing_key": signing_key}
        },
    )


def _s3(read: Read) -> StorageChoice:
    bucket = _required(read, "S3_BUCKET", expected="the name of a bucket")
    endpoint_url = read("S3_ENDPOINT_URL").rstrip("/")
    if endpoint_url and not _is_site(endpoint_url):
        raise _refuse("S3_ENDPOINT_URL", "is not a URL", expected="such as https://minio.internal")
    # Services that only speak like S3 have one region, whatever it is called.
    region = read("AWS_REGION") or ("us-east-1" if endpoint_url else "")
    if not region:
        raise _refuse("AWS_REGION", "is not set", expected="the bucket's region, such as eu-west-1")
    access_key_id, secret_access_key = read("AWS_ACCESS_KEY_ID"), read("AWS_SECRET_ACCESS_KEY")
    if bool(access_key_id) != bool(secret_access_key):
        missing = "AWS_SECRET_ACCESS_KEY" if access_key_id else "AWS_ACCESS_KEY_ID"
        raise _refuse(missing, "is not set", expected="both of the pair, or none for a role")
    return StorageChoice(
        django_storage={
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "bucket_name": bucket,
                "region_name": region,
                "endpoint_url": endpoint_url or None,
                "access_key": access_key_id or None,
                "secret_key": secret_access_key or None,
                "signature_version": "s3v4",
                "addressing_style": "path" if endpoint_url else "virtual",
                "location": DJANGO_PREFIX,
                "file_overwrite": False,
                "default_acl": None,
                "querystring_auth": True,
                "querystring_expire": DJANGO_URL_SECONDS,
            },
        },
        providers={
            "s3": {
                "bucket": bucket,
                "region": region,
                "access_key_id": access_key_id,
                "secret_access_key": secret_access_key,
                "endpoint_url": endpoint_url,
            }
        },
    )


def _azure(read: Read) -> StorageChoice:
    name = "AZURE_STORAGE_CONNECTION_STRING"
    expected = "AccountName=…;AccountKey=…;… as the portal shows it"
    connection_string = _required(read, name, expected=expected)
    parts = connection_string.split(";")
    named = {
        key.strip().lower(): value for key, _, value in (each.partition("=") for each in parts)
    }
    # Addresses are signed with the key; a signature in its place cannot sign.
    for part in ("AccountName", "AccountKey"):
        if not named.get(part.lower()):
            raise _refuse(name, f"has no {part}", expected=expected)
    container = _required(read, "AZURE_STORAGE_CONTAINER", expected="the name of a container")
    return StorageChoice(
        django_storage={
            "BACKEND": "storages.backends.azure_storage.AzureStorage",
            "OPTIONS": {
                "connection_string": connection_string,
                "account_name": named["accountname"],
                "account_key": named["accountkey"],
                "azure_container": container,
                "location": DJANGO_PREFIX,
                "overwrite_files": False,
                "expiration_secs": DJANGO_URL_SECONDS,
            },
        },
        providers={"azure": {"connection_string": connection_string, "container": container}},
    )


def _required(read: Read, name: str, *, expected: str) -> str:
    value = read(name)
    if not value:
        raise _refuse(name, "is not set", expected=expected)
    return value


def _is_site(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _refuse(name: str, problem: str, *, expected: str) -> ImproperlyConfigured:
    """Build the sentence that stops the start-up. Never put the value itself into it."""
    return ImproperlyConfigured(f"{name} {problem}. Expected {expected}; see .env.example.")
