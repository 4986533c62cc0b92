"""The command `ntc`, from anywhere in a project: `pip install 'ntc-core[console]'`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from ntc_core.console.cli import ntc  # noqa: PLC0415 - needs an extra
    except ImportError as error:
        if error.name not in {"click", "rich"}:
            raise
        sys.exit("The command ntc needs an extra: pip install 'ntc-core[console]'.")
    ntc()
