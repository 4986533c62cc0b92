"""The README's walk from sign-up to receipt does what it says, word for word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from .processes import PROJECT_DIR

README = PROJECT_DIR.parents[1] / "README.md"
BLOCK = re.compile(r"<!-- road:[^>]*-->\n```bash\n(.*?)```", re.DOTALL)


def test_the_curl_block_of_the_readme(dev_server):
    if shutil.which("curl") is None and os.environ.get("CI", "").lower() != "true":
        pytest.skip("There is no curl here.")
    block = BLOCK.search(README.read_text())
    assert block, "README.md has no block marked <!-- road: … -->."

    walked = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.group(1)],
        env={"PATH": os.environ["PATH"], "BASE": dev_server.base_url, "PHONE": "0712 345 678"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert walked.returncode == 0, f"{walked.stdout}\n{walked.stderr}"
    active, receipt, status = walked.stdout.strip().splitlines()[-3:]
    assert active == "active", walked.stdout
    assert receipt.startswith("Asante"), walked.stdout
    assert status == "succeeded", walked.stdout
