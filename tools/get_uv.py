"""Put the uv that uv.lock names into .tools/, with nothing but Python >= 3.11.

Debian's python3 comes without pip and without ensurepip, so this reads the wheel's
address and SHA-256 from uv.lock, fetches it, checks it and unpacks the one binary.
Prints the path of the binary.
"""

import hashlib
import io
import os
import platform
import shutil
import stat
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".tools" / "uv"
TIMEOUT_SECONDS = 60


def main() -> int:
    """Return 0 and print a usable uv's path, or return 1 with a sentence on stderr."""
    package = locked_uv()
    usable = find_usable_uv(package["version"])
    if usable:
        print(usable)
        return 0
    try:
        TARGET.parent.mkdir(exist_ok=True)
        install(package["wheels"])
    except (OSError, LookupError, ValueError) as error:
        print(
            f"uv could not be installed: {error}\n"
            "Check the network (and that ca-certificates is installed), or install uv yourself: "
            "it is used when it is on PATH.",
            file=sys.stderr,
        )
        return 1
    print(TARGET)
    return 0


def locked_uv() -> dict:
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    return next(package for package in lock["package"] if package["name"] == "uv")


def find_usable_uv(version: str) -> str | None:
    """Return our own uv of the locked version, else one on PATH that can read the lock."""
    if version_of(str(TARGET)) == version:
        return str(TARGET)
    on_path = shutil.which("uv")
    if on_path and (version_of(on_path) or "0").split(".")[:2] == version.split(".")[:2]:
        return on_path
    return None


def version_of(binary: str) -> str | None:
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.split()[1]


def install(wheels: list[dict]) -> None:
    wheel = next((w for w in wheels if fits(w["url"])), None)
    if wheel is None:
        raise LookupError(f"no wheel for {sys.platform} on {platform.machine()}")
    print(f"Fetching uv into {TARGET.relative_to(ROOT)} (once)", file=sys.stderr)
    with urllib.request.urlopen(wheel["url"], timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - https, from uv.lock
        content = answer.read()
    expected = wheel["hash"].removeprefix("sha256:")
    if hashlib.sha256(content).hexdigest() != expected:
        raise ValueError(f"the wheel's SHA-256 is not the {expected} of uv.lock")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = next(n for n in archive.namelist() if n.endswith((".data/scripts/uv", "/uv.exe")))
        binary = archive.read(member)
    # Renamed into place, so that an interrupted run leaves no half-written binary.
    unfinished = TARGET.with_name(f"uv.{os.getpid()}")
    unfinished.write_bytes(binary)
    unfinished.chmod(unfinished.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    unfinished.replace(TARGET)


def fits(url: str) -> bool:
    """Tell whether a wheel's platform tag names this machine."""
    tag = url.rsplit("-", 1)[-1]
    machine = {"AMD64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if sys.platform == "darwin":
        return "macosx" in tag and {"aarch64": "arm64"}.get(machine, machine) in tag
    if sys.platform == "win32":
        return tag.startswith("win") and {"x86_64": "amd64", "aarch64": "arm64"}[machine] in tag
    libc = "manylinux" if platform.libc_ver()[0] == "glibc" else "musllinux"
    return libc in tag and machine in tag


if __name__ == "__main__":
    sys.exit(main())
