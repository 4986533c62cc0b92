"""The configured providers of storage."""

from __future__ import annotations

from ntc_core.registry import ProviderRegistry
from ntc_core.storage.errors import StorageUnavailable
from ntc_core.storage.providers.base import StorageProvider

__all__ = ["PROVIDERS", "default_provider_name"]

_PACKAGE = "ntc_core.storage.providers"

# The base is abstract on purpose: the registry only asks for subclasses of it.
PROVIDERS: ProviderRegistry[StorageProvider] = ProviderRegistry(
    setting="NTC_STORAGE_PROVIDERS",
    base=StorageProvider,  # type: ignore[type-abstract]
    known={
        "local": f"{_PACKAGE}.local.LocalProvider",
        "s3": f"{_PACKAGE}.s3.S3Provider",
        "azure": f"{_PACKAGE}.azure.AzureProvider",
    },
)


def default_provider_name() -> str:
    """Return where new files go.

    Raises:
        StorageUnavailable: the project has not said where.
    """
    names = PROVIDERS.names()
    if not names:
        raise StorageUnavailable("This service does not take files: STORAGE_PROVIDER is not set.")
    return names[0]
