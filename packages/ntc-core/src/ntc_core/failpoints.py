"""Named places where a fault test may kill the process, as the power cut would.

    NTC_FAILPOINT=webhook.committed  →  the process ends with status 137 at that point

Without that variable, a failpoint is one dictionary lookup. Set it in a subprocess only.
"""

from __future__ import annotations

import os

__all__ = ["failpoint"]

KILLED_STATUS = 137


def failpoint(name: str) -> None:
    """End the process at once, without any clean-up, if `name` is the chosen one."""
    if os.environ.get("NTC_FAILPOINT") == name:
        os._exit(KILLED_STATUS)
