"""Packages that only some projects need. Looked for when a provider is built, loaded later."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["require_installed"]


def require_installed(distribution: str, *, extra: str) -> None:
    """Do nothing if the package is installed; it is not imported.

    Raises:
        ValueError: it is not; the message says what to install.
    """
    try:
        version(distribution)
    except PackageNotFoundError:
        raise ValueError(f"{distribution} is not installed. Install ntc-core[{extra}].") from None
