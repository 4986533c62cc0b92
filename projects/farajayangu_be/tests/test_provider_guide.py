"""The guide to a provider of messages is code: what it shows passes the exam it shows."""

from __future__ import annotations

import re
from types import ModuleType

from django.utils.module_loading import import_string

from .processes import PROJECT_DIR

GUIDE = PROJECT_DIR.parents[1] / "docs" / "guides" / "add-a-notify-provider.md"


def read_guide() -> ModuleType:
    """Return the guide's class and its exam as one module."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    module = ModuleType("shop_pigeon")
    for block in blocks:
        if "class " in block:
            exec(compile(block, str(GUIDE), "exec"), module.__dict__)  # noqa: S102 - our own guide
    return module


pigeon = read_guide()


class TestTheGuidesProvider(pigeon.TestPigeon):  # type: ignore[misc, name-defined]
    """Every test of the exam."""


def test_names_of_the_guide_exist():
    text = GUIDE.read_text("utf-8")
    package = PROJECT_DIR.parents[1] / "packages" / "ntc-notify"

    paths = re.findall(r"`((?:ntc_notify|tests)/[\w/]+\.py)`", text)
    functions = re.findall(r"`(ntc_notify(?:\.\w+)+)\(\)`", text)

    assert paths
    assert functions
    for path in paths:
        assert (package / path).is_file() or (package / "src" / path).is_file(), path
    for function in functions:
        assert callable(import_string(function))
