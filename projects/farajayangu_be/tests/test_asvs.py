"""docs/ASVS.md keeps its word: every item is there, every test it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from django.conf import settings
from ntc_core.auth.conf import auth_settings
from ntc_core.conf import THROTTLE_RATES

from .processes import PROJECT_DIR
from .test_doors import PUBLIC

ROOT = PROJECT_DIR.parents[1]
PAGE = (ROOT / "docs" / "ASVS.md").read_text()
ROOTS = {
    "core": ROOT / "packages" / "ntc-core" / "tests",
    "project": PROJECT_DIR / "tests",
    "accounts": PROJECT_DIR / "apps" / "accounts" / "tests",
    "common": PROJECT_DIR / "apps" / "common" / "tests",
}
#: What ASVS 5.0.0 has in chapters V3, V6, V7 and V9, by level.
LEVEL_1 = {
    *("3.2.1", "3.2.2", "3.3.1", "3.4.1", "3.4.2", "3.5.1", "3.5.2", "3.5.3"),
    *("6.1.1", "6.2.1", "6.2.2", "6.2.3", "6.2.4", "6.2.5", "6.2.6", "6.2.7", "6.2.8"),
    *("6.3.1", "6.3.2", "6.4.1", "6.4.2"),
    *("7.2.1", "7.2.2", "7.2.3", "7.2.4", "7.4.1", "7.4.2"),
    *("9.1.1", "9.1.2", "9.1.3", "9.2.1"),
}
LEVEL_2 = {
    *("3.3.2", "3.3.3", "3.3.4", "3.4.3", "3.4.4", "3.4.5", "3.4.6"),
    *("3.5.4", "3.5.5", "3.7.1", "3.7.2"),
    *("6.1.2", "6.1.3", "6.2.9", "6.2.10", "6.2.11", "6.2.12", "6.3.3", "6.3.4", "6.4.3", "6.4.4"),
    *("6.5.1", "6.5.2", "6.5.3", "6.5.4", "6.5.5", "6.6.1", "6.6.2", "6.6.3"),
    *("6.8.1", "6.8.2", "6.8.3", "6.8.4"),
    *("7.1.1", "7.1.2", "7.1.3", "7.3.1", "7.3.2", "7.4.3", "7.4.4", "7.4.5", "7.5.1", "7.5.2"),
    *("7.6.1", "7.6.2"),
    *("9.2.2", "9.2.3", "9.2.4"),
}

ROW = re.compile(
    r"^\| (?P<item>\d+\.\d+\.\d+) \| (?P<level>\d) \| (?P<what>[^|]+) "
    r"\| (?P<state>[^|]+) \| (?P<proof>[^|]+) \|$",
    re.MULTILINE,
)
NAMED = re.compile(r"`(\w+)/([\w/]+\.py)::(\w+)`")


def rows() -> list[re.Match[str]]:
    return list(ROW.finditer(PAGE))


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    """Return the tests that pytest would find in the file, without importing it."""
    found = (node for node in ast.walk(ast.parse(path.read_text())))
    return frozenset(
        node.name
        for node in found
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def test_every_item_of_levels_one_and_two_has_one_row():
    expected = [*((item, "1") for item in LEVEL_1), *((item, "2") for item in LEVEL_2)]

    assert sorted((row["item"], row["level"]) for row in rows()) == sorted(expected)


def test_every_test_that_is_named_exists():
    named = NAMED.findall(PAGE)
    missing = [
        f"{root}/{file}::{test}"
        for root, file, test in named
        if not (ROOTS[root] / file).exists() or test not in names_of_tests(ROOTS[root] / file)
    ]

    assert len(named) > len(LEVEL_1)
    assert PAGE.count("::") == len(named), "something looks like a test and is not read as one"
    assert missing == []


def test_what_is_claimed_is_proven_and_the_rest_has_a_reason():
    for row in rows():
        assert row["state"] in {"yes", "part", "no", "n/a"}, row["item"]
        words = re.sub(r"\s", "", NAMED.sub("", row["proof"]))
        if row["state"] in {"yes", "part"}:
            assert NAMED.search(row["proof"]), f"{row['item']} names no test"
        if row["state"] != "yes":
            assert len(words) > 10, f"{row['item']} gives no reason"


def test_the_guide_names_every_limit_with_its_default():
    guide = (ROOT / "docs" / "guides" / "limits.md").read_text()
    table = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", guide, re.MULTILINE)
    documented = {
        name: value
        for names, values in table
        for name, value in zip(re.findall(r"\w+", names), values.split(", "), strict=True)
    }

    rates = {name: value for name, value in documented.items() if not name.startswith("NTC_")}
    assert rates == THROTTLE_RATES
    for name, value in documented.items() - rates.items():
        default = getattr(type(auth_settings), name.removeprefix("NTC_"))
        assert value == (str(default) if default else "none"), name


def test_the_page_names_the_words_that_are_refused():
    ours = settings.AUTH_PASSWORD_VALIDATORS[-1]["OPTIONS"]["words"]
    section = PAGE.split("### Words")[1].split("###")[0]

    assert re.findall(r"\*(\w+)\*", section) == ours


def test_the_page_names_every_way_in():
    """What takes a password, a code or a refresh token from a stranger, and the admin."""
    section = PAGE.split("### Ways")[1].split("###")[0]
    named = set(re.findall(r"^\| `([\w/]+)`", section, re.MULTILINE))
    not_ways_in = {
        "api/v1/accounts/password/reset/",  # ask for a message
        "api/v1/accounts/register/",
        "api/v1/accounts/verify/resend/",
        "api/v1/auth/csrf/",  # need a session, and give none
        "api/v1/auth/logout/",
        "api/v1/auth/logout-all/",
        "api/v1/auth/verify/",
        "api/v1/notifications/unsubscribe/<str:token>/",
        "api/v1/plans/",
    }
    ways = {path for path in PUBLIC - not_ways_in if path.startswith("api/")}

    assert {f"api/v1/{path}" for path in named - {"admin/login/"}} == ways
    assert "admin/login/" in named


def test_the_page_names_the_lifetimes():
    day = 24 * 60 * 60
    section = PAGE.split("### Lifetimes")[1]

    assert f"{auth_settings.ACCESS_TOKEN_SECONDS // 60} minutes" in section
    assert f"{auth_settings.REFRESH_TOKEN_SECONDS // day} days without use" in section
    assert f"after {auth_settings.SESSION_SECONDS // day} days in any case" in section
