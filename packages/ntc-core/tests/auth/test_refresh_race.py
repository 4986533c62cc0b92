"""The race of the refresh token over real processes, and proof that it sees a loser."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db.models import Count, Q
from ntc_core.auth.models import AuthSession, RefreshRecord
from ntc_core.testing.refresh_race import issue, race

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

PACKAGE = Path(__file__).resolve().parents[2]


def redeem_without_a_gate(token: str) -> str:
    """Do what a check before the write does: look, then spend."""
    from ntc_core.auth.selectors import find_record  # noqa: PLC0415 - for the racing processes
    from ntc_core.auth.tokens import hash_jti, mint, read  # noqa: PLC0415 - likewise

    claims = read(token, token_type="refresh")
    record = find_record(jti=claims.jti)
    if record is None or record.used_at is not None:
        raise PermissionError
    RefreshRecord.objects.filter(pk=record.pk).update(used_at=claims.issued_at)
    text, minted = mint(
        token_type="refresh",
        subject=claims.subject,
        session_uid=claims.session_uid,
        expires_at=claims.expires_at,
    )
    RefreshRecord.objects.create(
        session=record.session,
        jti_hash=hash_jti(minted.jti),
        issued_at=claims.issued_at,
        expires_at=claims.expires_at,
    )
    return text


def assert_one_line_each() -> None:
    """Every session is live and has one token that can be spent."""
    open_tokens = Count("refreshes", filter=Q(refreshes__used_at=None))
    sessions = AuthSession.objects.annotate(open_tokens=open_tokens)
    assert not sessions.exclude(open_tokens=1).exists()
    assert not sessions.exclude(revoked_at=None).exists()


def test_one_token_has_one_successor_for_every_process():
    report = race(rounds=60, clients=6)

    assert report.is_clean, str(report)
    assert report.rounds == 60
    # The token of the round, its successor, and the one that proved the successor to work.
    assert RefreshRecord.objects.count() == 3 * 60
    assert_one_line_each()


def test_the_race_sees_what_a_check_without_a_gate_does():
    """Otherwise a clean report would mean nothing."""
    report = race(rounds=30, clients=6, redeem=f"{__name__}.redeem_without_a_gate")

    assert report.double_spends > 0
    assert report.lost > 0
    assert not report.is_clean
    assert "double spends" in str(report)


def test_race_runs_from_the_command_line():
    run = subprocess.run(
        [sys.executable, "-m", "ntc_core.testing.refresh_race", "--rounds", "5", "--clients", "3"],
        cwd=PACKAGE,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("5 rounds of 3 concurrent refreshes: 0 double spends, 0 lost, 0")


@pytest.mark.faults
def test_ten_thousand_rounds_without_one_double_spend_or_lost_session():
    report = race(rounds=10_000, clients=6)

    assert report.is_clean, str(report)
    assert report.rounds == 10_000
    assert_one_line_each()


def test_race_issues_working_tokens():
    assert issue() != issue()
