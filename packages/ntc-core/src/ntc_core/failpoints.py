"""Named places where a fault test may kill the process, as the power cut would.

    NTC_FAILPOINT=webhook.committed    →  the process ends with status 137 at that point
    NTC_FAILPOINT=webhook.committed:3  →  when it passes that point for the third time

Without that variable, a failpoint is one dictionary lookup. Set it in a subprocess only.
"""

from __future__ import annotations

import itertools
import os

__all__ = ["failpoint"]

KILLED_STATUS = 137


_passes = itertools.count(1)


def failpoint(name: str) -> None:
    """End the process at once, without any clean-up, if `name` is the chosen one."""
    chosen = os.environ.get("NTC_FAILPOINT")
    if chosen is None:
        return
    point, _, times = chosen.partition(":")
    if point == name and next(_passes) >= int(times or 1):
        os._exit(KILLED_STATUS)
