"""Run each member's tests from its own folder, packages with branch coverage.

The database and Redis are those that `ntc_core.testing` finds: TEST_DATABASE_URL and
TEST_REDIS_URL, else the standard local ports. Without them the packages run on SQLite
and say what they left out; with CI set, leaving something out is a failure.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: What pytest answers when no test was selected: not every member has a long run.
NO_TESTS = 5


@dataclass(frozen=True, kw_only=True)
class Run:
    """One pytest run: where, and whether its coverage counts."""

    name: str
    folder: Path
    measured: bool


def main() -> int:
    """Return 0 if every run passed; every run is started, whatever the ones before did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("members", nargs="+")
    parser.add_argument("--faults", action="store_true", help="the long runs only")
    arguments = parser.parse_args()
    runs = [plan(member) for member in arguments.members]
    failed = [run.name for run in runs if not passes(run, faults=arguments.faults)]
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
        return 1
    print(f"\nAll passed: {', '.join(arguments.members)}")
    return 0


def plan(member: str) -> Run:
    for kind in ("packages", "projects"):
        folder = ROOT / kind / member
        if folder.is_dir():
            return Run(name=member, folder=folder, measured=kind == "packages")
    raise SystemExit(f"No such member: {member}. See packages/ and projects/.")


def passes(run: Run, *, faults: bool) -> bool:
    print(f"\n── {run.name} {'─' * (70 - len(run.name))}", flush=True)
    started = time.monotonic()
    coverage = [sys.executable, "-m", "coverage"]
    pytest = ["-m", "pytest", "-q", *(["-m", "faults"] if faults else ["-m", "not faults"])]
    measured = run.measured and not faults
    command = [*coverage, "run", *pytest] if measured else [sys.executable, *pytest]
    good = call(command, run) in ((0, NO_TESTS) if faults else (0,))
    if good and measured:
        good = call([*coverage, "report"], run) == 0
    print(f"{run.name}: {'passed' if good else 'FAILED'} in {time.monotonic() - started:.0f} s")
    return good


def call(command: list[str], run: Run) -> int:
    return subprocess.run(command, cwd=run.folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
