"""System checks of files.

E001  a provider cannot be built                    E002  a purpose cannot be what it says
E003  a lifetime is out of its range                W001  files are on this machine (--deploy)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured

from ntc_core.storage.conf import DEFAULT_PURPOSE, file_settings
from ntc_core.storage.file_types import FILE_TYPES
from ntc_core.storage.registry import PROVIDERS

__all__ = ["check_deployment", "check_settings"]

HOUR = 60 * 60
#: What Amazon's and Azure's signatures allow, or should.
LONGEST_READ = 7 * 24 * HOUR
LONGEST_UPLOAD = 12 * HOUR
LONGEST_NAME = 40


@register(Tags.security)
def check_settings(**_: Any) -> list[CheckMessage]:
    """Check what would fail at the first upload, or let in what is not meant."""
    return [*_check_providers(), *_check_purposes(), *_check_lifetimes()]


def _check_providers() -> Iterator[CheckMessage]:
    for name in PROVIDERS.names():
        try:
            PROVIDERS.get(name)
        except ImproperlyConfigured as error:
            yield Error(
                str(error),
                hint="ntc_core.storage.settings.storage_settings() makes it from STORAGE_PROVIDER.",
                id="ntc_storage.E001",
            )


def _check_purposes() -> Iterator[CheckMessage]:
    purposes: Mapping[str, Any] = file_settings.STORAGE_PURPOSES
    if DEFAULT_PURPOSE not in purposes:
        yield _wrong_purpose(DEFAULT_PURPOSE, "is missing; clients that name none mean it")
    for name, allowed in purposes.items():
        if not 0 < len(name) <= LONGEST_NAME:
            yield _wrong_purpose(name, f"needs a name of 1 to {LONGEST_NAME} characters")
        types, largest = allowed.get("types", ()), allowed.get("max_bytes")
        unknown = [each for each in types if each not in FILE_TYPES]
        if not types or isinstance(types, str) or unknown:
            known = ", ".join(FILE_TYPES)
            yield _wrong_purpose(name, f"needs 'types', a list of some of: {known}")
        if not isinstance(largest, int) or largest < 1:
            yield _wrong_purpose(name, "needs 'max_bytes', a number of bytes")


def _wrong_purpose(name: str, problem: str) -> CheckMessage:
    return Error(
        f"NTC_STORAGE_PURPOSES[{name!r}] {problem}.",
        hint='Such as {"types": ["image/png"], "max_bytes": 5_000_000}.',
        id="ntc_storage.E002",
    )


def _check_lifetimes() -> Iterator[CheckMessage]:
    ranges = {
        "STORAGE_UPLOAD_SECONDS": LONGEST_UPLOAD,
        "STORAGE_READ_SECONDS": LONGEST_READ,
    }
    for name, longest in ranges.items():
        seconds = getattr(file_settings, name)
        if not 1 <= seconds <= longest:
            yield _wrong_lifetime(f"NTC_{name} is {seconds!r}; expected 1 to {longest}.")
    # A row has to be there as long as its address can take something.
    least = file_settings.STORAGE_UPLOAD_SECONDS / HOUR + 1
    if least > file_settings.STORAGE_ORPHAN_HOURS:
        yield _wrong_lifetime(
            f"NTC_STORAGE_ORPHAN_HOURS is {file_settings.STORAGE_ORPHAN_HOURS!r}; expected at "
            f"least {least:g}, an hour more than NTC_STORAGE_UPLOAD_SECONDS."
        )


def _wrong_lifetime(problem: str) -> CheckMessage:
    return Error(problem, id="ntc_storage.E003")


@register(Tags.security, deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """Check that files outlive the container, as far as settings can tell."""
    if PROVIDERS.names()[:1] != ["local"]:
        return []
    return [
        Warning(
            "STORAGE_PROVIDER is local: files are on this machine's disk only.",
            hint="Set s3 or azure; or keep and back up the folder, and run one machine.",
            id="ntc_storage.W001",
        )
    ]
