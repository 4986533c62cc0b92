"""Run the command `ntc` as whoever types it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FAULTY = Path(__file__).parent / "faulty"


def ntc(*arguments, folder, **variables):
    """Run `ntc …` in the folder, with these environment variables besides."""
    inherited = {name: value for name, value in os.environ.items() if "DJANGO" not in name}
    return subprocess.run(
        [str(Path(sys.executable).with_name("ntc")), *arguments],
        cwd=folder,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def examine(*arguments, folder, **variables):
    """Return (exit code, report) of `ntc doctor --json`."""
    done = ntc("doctor", "--json", *arguments, folder=folder, **variables)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)
