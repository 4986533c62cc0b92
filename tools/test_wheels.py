"""Build every package, install each alone from its wheel, run its tests there.

Each package is tested twice: with the lowest versions its metadata allows and with the
newest. Its tests are copied out of the repository, so that nothing but the wheel can be
imported; packages it depends on come from their wheels too. This is what proves the
version ranges between the packages, which uv does not check between workspace members.

Two packages at a time, each with a database of its own: tests wait more than they compute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESOLUTIONS = ("lowest-direct", "highest")
AT_A_TIME = 2
#: Not the runs that kill processes: what versions of dependencies change shows in the rest.
KILLING = [
    *("tests/faults", "tests/test_bulk_kill.py", "tests/test_kill.py", "tests/test_every_order.py"),
    *("tests/auth/test_refresh_race.py", "tests/outbox/test_processes.py"),
]
#: Servers by the hundred: with the newest they run in `make test`, where the lock is about as new.
SERVING = [
    *("tests/realtime/*", "tests/storage/*", "tests/doctor/*", "tests/outbox/*"),
    *("tests/auth/test_guards.py", "tests/auth/test_races.py", "tests/auth/test_model.py"),
    *("tests/test_simulator*.py", "tests/test_road*.py", "tests/test_provider_roads.py"),
]


def main() -> int:
    """Return 0 if every package passes with both sets of dependencies."""
    uv = os.environ["UV"]  # set by `uv run`
    failed: list[str] = []

    def test(package: str) -> None:
        for resolution in RESOLUTIONS:
            place = Path(folder) / f"{package}-{resolution}"
            if not passes(uv, package, resolution, wheels, place):
                failed.append(f"{package} ({resolution})")

    with tempfile.TemporaryDirectory(prefix="ntc-wheels-") as folder:
        wheels = Path(folder) / "dist"
        run([uv, "build", "--quiet", "--all-packages", "--wheel", "--out-dir", str(wheels)], ROOT)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            list(pool.map(test, sys.argv[1:]))
    print(f"\nFailed: {', '.join(failed)}" if failed else "\nAll wheels passed.")
    return 1 if failed else 0


def passes(uv: str, package: str, resolution: str, wheels: Path, place: Path) -> bool:
    """Install and test one package with one set of dependencies in a folder of its own."""
    source = ROOT / "packages" / package
    shutil.copytree(source / "tests", place / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    # pytest reads its settings from here; the name of the package stays unimportable.
    shutil.copy(source / "pyproject.toml", place / "pyproject.toml")
    run([uv, "venv", "--quiet", "--python", sys.executable, "venv"], place)
    python = str(place / "venv" / "bin" / "python")
    wheel = next(wheels.glob(f"{package.replace('-', '_')}-*.whl"))
    install = [uv, "pip", "install", "--quiet", "--python", python, "--resolution", resolution]
    where = ["--find-links", str(wheels), "--group", f"{source}/pyproject.toml:dev"]
    run([*install, *where, str(wheel)], place)
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    left_out = KILLING + (SERVING if resolution == "highest" else [])
    command = [python, "-m", "pytest", "-q", "-m", "not faults", "-p", "no:cacheprovider"]
    command += [f"--ignore-glob={place / pattern}" for pattern in left_out]
    done = subprocess.run(
        command,
        cwd=place,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # In one piece: another package is at it meanwhile.
    print(f"\n── {package}, {resolution} dependencies\n{done.stdout}", flush=True)
    return done.returncode == 0


def run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    sys.exit(main())
