"""Random sequences of sign-ins, refreshes, replays, ends and clock jumps against a small model.

The model knows the rules and nothing of the code: no database, no tokens' insides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.cache import cache
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from ntc_core.auth import services
from ntc_core.auth.errors import CredentialsInvalid, TokenInvalid
from ntc_core.auth.models import AuthSession, EndReason
from ntc_core.auth.selectors import list_live_sessions
from ntc_core.auth.signals import refresh_reused

GRACE = timedelta(seconds=10)
LEEWAY = timedelta(seconds=10)
ACCESS = timedelta(minutes=15)
REFRESH = timedelta(days=14)
ABSOLUTE = timedelta(days=90)


@dataclass(eq=False)
class Device:
    """A session of the model."""

    name: str
    ends: datetime
    last_used: datetime
    over: bool = False


@dataclass(eq=False)
class Pair:
    """An access and a refresh token that came together."""

    device: Device
    issued: datetime
    access: str
    refresh: str
    spent: datetime | None = None
    successor: Pair | None = field(default=None, repr=False)


class Sessions(RuleBasedStateMachine):
    """One user with many devices; whoever has a token may do with it what they like."""

    pairs = Bundle("pairs")

    def __init__(self) -> None:
        super().__init__()
        cache.clear()
        self.user: Any = User.objects.create_user(username="asha")
        self.now = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
        self.travel = time_machine.travel(self.now, tick=False)
        self.clock = self.travel.start()
        self.devices: list[Device] = []
        self.thefts = 0
        self.told = 0
        refresh_reused.connect(self.hear)

    def teardown(self) -> None:
        refresh_reused.disconnect(self.hear)
        self.travel.stop()
        User.objects.all().delete()

    def hear(self, **_: Any) -> None:
        self.told += 1

    # --- What may happen ---

    @rule(target=pairs)
    def sign_in(self) -> Any:
        try:
            tokens = services.sign_in(user=self.user)
        except CredentialsInvalid:
            assert not self.user.is_active
            return multiple()
        assert self.user.is_active
        device = Device(str(tokens.session.uid), ends=self.now + ABSOLUTE, last_used=self.now)
        self.devices.append(device)
        return Pair(device, self.now, tokens.access, tokens.refresh)

    @rule(target=pairs, pair=pairs)
    def refresh(self, pair: Pair) -> Any:
        return self.spend(pair)

    @rule(target=pairs, pair=pairs, wait=st.sampled_from([0, 1, 9, 10, 11, 890, 3600]))
    def refresh_and_replay(self, pair: Pair, wait: int) -> Any:
        """Two tabs, or an owner and a thief."""
        first = self.spend(pair)
        self.jump_by(timedelta(seconds=wait))
        self.spend(pair)
        return first

    @rule(pair=pairs)
    def sign_out(self, pair: Pair) -> None:
        readable = self.now < self.end_of(pair, REFRESH) + LEEWAY
        try:
            services.sign_out(refresh_token=pair.refresh)
        except TokenInvalid:
            assert not readable
        else:
            assert readable
            pair.device.over = True

    @rule()
    def sign_out_everywhere(self) -> None:
        services.sign_out_everywhere(user=self.user)
        for device in self.devices:
            device.over = True

    @rule(pair=pairs)
    def change_password(self, pair: Pair) -> None:
        """From this device; all others end."""
        session = AuthSession.objects.get(uid=pair.device.name)
        services.sign_out_everywhere(
            user=self.user, except_session=session, reason=EndReason.PASSWORD_CHANGED
        )
        for device in self.devices:
            device.over = device.over or device is not pair.device

    @rule(pair=pairs)
    def end_device(self, pair: Pair) -> None:
        session = AuthSession.objects.get(uid=pair.device.name)
        assert services.end_session(session, reason=EndReason.DEVICE) is not pair.device.over
        pair.device.over = True

    @rule(active=st.booleans())
    def switch_user(self, active: bool) -> None:
        self.user.is_active = active
        self.user.save()

    @rule(seconds=st.sampled_from([1, 5, 9, 10, 11, 600, 890, 899, 900, 910]))
    def wait(self, seconds: int) -> None:
        self.jump_by(timedelta(seconds=seconds))

    @rule(days=st.sampled_from([1, 13, 14, 76, 90]))
    def go_away(self, days: int) -> None:
        self.jump_by(timedelta(days=days))

    def jump_by(self, jump: timedelta) -> None:
        self.now += jump
        self.clock.move_to(self.now)

    def spend(self, pair: Pair) -> Any:
        """Refresh, and return the new pair if there is one that nobody had before."""
        must_be_refused = self.refusal_of(pair)
        try:
            tokens = services.refresh(refresh_token=pair.refresh)
        except TokenInvalid:
            assert must_be_refused
            return multiple()
        assert not must_be_refused
        if pair.successor is not None:
            known = pair.successor
            assert (tokens.access, tokens.refresh) == (known.access, known.refresh)
            return multiple()
        pair.spent = pair.device.last_used = self.now
        pair.successor = Pair(pair.device, self.now, tokens.access, tokens.refresh)
        return pair.successor

    # --- What must be so ---

    @rule(pair=pairs)
    def use(self, pair: Pair) -> None:
        live = self.is_live(pair.device)
        assert accepts(pair.access) == (live and self.now < self.end_of(pair, ACCESS) + LEEWAY)
        # Spent or not is not told.
        assert accepts(pair.refresh) == (live and self.now < self.end_of(pair, REFRESH) + LEEWAY)

    @invariant()
    def devices_are_listed(self) -> None:
        listed = {str(session.uid) for session in list_live_sessions(user=self.user)}
        assert listed == {
            device.name
            for device in self.devices
            if not device.over and self.now < device.ends and self.now < device.last_used + REFRESH
        }

    @invariant()
    def every_theft_is_told_once(self) -> None:
        assert self.told == self.thefts

    # --- The rules ---

    def refusal_of(self, pair: Pair) -> bool:
        """Tell whether a refresh must be refused; a copy that comes late ends its device."""
        if self.now >= self.end_of(pair, REFRESH) + LEEWAY or not self.is_live(pair.device):
            return True
        if pair.spent is not None and self.now - pair.spent >= GRACE:
            pair.device.over = True
            self.thefts += 1
            return True
        return False

    def is_live(self, device: Device) -> bool:
        return not device.over and self.now < device.ends and self.user.is_active

    @staticmethod
    def end_of(pair: Pair, lifetime: timedelta) -> datetime:
        return min(pair.issued + lifetime, pair.device.ends)


def accepts(token: str) -> bool:
    try:
        services.verify_token(token)
    except TokenInvalid:
        return False
    return True


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("cache_seconds", [0, 60])
def test_code_and_model_agree(settings, cache_seconds):
    settings.NTC_SESSION_CACHE_SECONDS = cache_seconds

    run_state_machine_as_test(
        Sessions,
        settings=hypothesis_settings(max_examples=25, stateful_step_count=40, deadline=None),
    )


@pytest.mark.faults
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("cache_seconds", [0, 60])
def test_code_and_model_agree_for_long(settings, cache_seconds):
    settings.NTC_SESSION_CACHE_SECONDS = cache_seconds

    run_state_machine_as_test(
        Sessions,
        settings=hypothesis_settings(max_examples=300, stateful_step_count=60, deadline=None),
    )
