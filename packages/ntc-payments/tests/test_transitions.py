"""The tables, and that no order of observations changes where an attempt ends."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_payments.transitions import (
    ATTEMPT_MOVES,
    ATTEMPT_RANK,
    CLAIM_MOVES,
    DEAD_ATTEMPTS,
    LIVE_ATTEMPTS,
    PAYMENT_MOVES,
    PAYMENT_RANK,
    REFUSED_ATTEMPTS,
    Decision,
    Reason,
    attempt_may_follow,
    decide,
    payment_may_follow,
)
from ntc_payments.types import AttemptStatus, Claim, PaymentStatus, Source, Trust

COMPANY_CLAIMS = [Claim.ACCEPTED, Claim.FAILURE, Claim.SUCCESS, Claim.REVERSED]
A = AttemptStatus


def test_tables_name_every_status_and_claim():
    """A status or claim that is added later cannot be forgotten here."""
    assert set(ATTEMPT_MOVES) == set(ATTEMPT_RANK) == set(AttemptStatus)
    assert set(PAYMENT_MOVES) == set(PAYMENT_RANK) == set(PaymentStatus)
    assert set(CLAIM_MOVES) == set(Claim)
    assert LIVE_ATTEMPTS | DEAD_ATTEMPTS | {A.SUCCEEDED, A.REVERSED} == set(AttemptStatus)


def test_attempt_rank_lowers_only_where_it_is_listed():
    """The one exception: a call that certainly never left."""
    lowering = {
        (before, after)
        for before, targets in ATTEMPT_MOVES.items()
        for after in targets
        if ATTEMPT_RANK[after] < ATTEMPT_RANK[before]
    }
    assert lowering == {(A.SENDING, A.CREATED)}


def test_payment_rank_lowers_only_where_it_is_listed():
    """The one exception: the payer tries again."""
    lowering = {
        (before, after)
        for before, targets in PAYMENT_MOVES.items()
        for after in targets
        if PAYMENT_RANK[after] < PAYMENT_RANK[before]
    }
    assert lowering == {(PaymentStatus.FAILED, PaymentStatus.OPEN)}


def test_every_claim_moves_only_along_the_table():
    """CLAIM_MOVES cannot do what ATTEMPT_MOVES forbids."""
    for moves in CLAIM_MOVES.values():
        for before, after in moves.items():
            assert attempt_may_follow(before, after), (before, after)


def test_success_is_absorbing():
    """Nothing but a reversal follows success; nothing at all follows a paid payment."""
    assert ATTEMPT_MOVES[A.SUCCEEDED] == {A.REVERSED}
    assert PAYMENT_MOVES[PaymentStatus.SUCCEEDED] == frozenset()
    assert not payment_may_follow(PaymentStatus.SUCCEEDED, PaymentStatus.FAILED)


@pytest.mark.parametrize(
    ("current", "claim", "source", "expected"),
    [
        (A.CREATED, Claim.ACCEPTED, Source.WEBHOOK, A.PENDING),
        (A.SENDING, Claim.SUCCESS, Source.WEBHOOK, A.SUCCEEDED),
        (A.CREATED, Claim.FAILURE, Source.WEBHOOK, A.FAILED),
        (A.CREATED, Claim.NOT_FOUND, Source.POLL, None),
        (A.PENDING, Claim.ACCEPTED, Source.POLL, None),
        (A.PENDING, Claim.SUCCESS, Source.POLL, A.SUCCEEDED),
        (A.PENDING, Claim.FAILURE, Source.WEBHOOK, A.FAILED),
        (A.PENDING, Claim.NOT_FOUND, Source.POLL, A.UNKNOWN),
        (A.UNKNOWN, Claim.ACCEPTED, Source.POLL, A.PENDING),
        (A.UNKNOWN, Claim.SUCCESS, Source.WEBHOOK, A.SUCCEEDED),
        (A.UNKNOWN, Claim.FAILURE, Source.POLL, A.FAILED),
        (A.UNKNOWN, Claim.REJECTED, Source.RESPONSE, A.REJECTED),
        (A.FAILED, Claim.ACCEPTED, Source.WEBHOOK, None),
        (A.FAILED, Claim.FAILURE, Source.WEBHOOK, None),
        (A.FAILED, Claim.NOT_FOUND, Source.POLL, None),
        (A.SENDING, Claim.NOT_SENT, Source.RESPONSE, A.CREATED),
        (A.SENDING, Claim.NO_ANSWER, Source.RESPONSE, A.UNKNOWN),
        (A.SENDING, Claim.NO_ANSWER, Source.POLL, None),
        (A.PENDING, Claim.NO_ANSWER, Source.POLL, None),
        (A.UNKNOWN, Claim.NOT_SENT, Source.RESPONSE, None),
    ],
)
def test_observation_does_what_the_table_says(current, claim, source, expected):
    """One line per cell of the contract."""
    decision = decide(current=current, claim=claim, source=source)

    assert decision.move_to == expected
    assert (decision.reason is Reason.APPLIED) == (expected is not None)
    assert not decision.alarm


def test_money_for_what_nobody_had_paid_needs_no_confirmation():
    """No message said that it failed: there is nothing that it contradicts."""
    decision = decide(current=A.EXPIRED, claim=Claim.SUCCESS, source=Source.WEBHOOK)

    assert decision.move_to is A.SUCCEEDED


@pytest.mark.parametrize("current", sorted(REFUSED_ATTEMPTS))
def test_late_success_needs_confirmation(current):
    """A message alone does not turn an ended attempt; the company's own answer does."""
    for source in (Source.WEBHOOK, Source.RESPONSE):
        asked = decide(current=current, claim=Claim.SUCCESS, source=source)
        assert (asked.move_to, asked.reason, asked.ask) == (None, Reason.NEEDS_CONFIRMATION, True)

    confirmed = decide(current=current, claim=Claim.SUCCESS, source=Source.POLL)
    assert confirmed.move_to is AttemptStatus.SUCCEEDED


def test_hint_moves_nothing_and_asks():
    """A message that proves nothing only makes us look."""
    decision = decide(
        current=A.PENDING, claim=Claim.SUCCESS, source=Source.WEBHOOK, trust=Trust.HINT
    )

    assert decision == Decision(reason=Reason.HINT, ask=True)


@pytest.mark.parametrize(
    ("money_matches", "reason"),
    [(False, Reason.AMOUNT_MISMATCH), (None, Reason.AMOUNT_MISSING)],
)
def test_success_of_another_amount_moves_nothing(money_matches, reason):
    """Not even once; and an answer to our own question is not asked for again."""
    by_webhook = decide(
        current=A.PENDING, claim=Claim.SUCCESS, source=Source.WEBHOOK, money_matches=money_matches
    )
    by_poll = decide(
        current=A.PENDING, claim=Claim.SUCCESS, source=Source.POLL, money_matches=money_matches
    )

    assert by_webhook == Decision(reason=reason, ask=True, alarm=True)
    assert by_poll == Decision(reason=reason, ask=False, alarm=True)


def test_failure_after_success_is_an_alarm_and_moves_nothing():
    """The stale "timed out" of a paid order."""
    for claim in (Claim.FAILURE, Claim.NOT_FOUND):
        decision = decide(current=A.SUCCEEDED, claim=claim, source=Source.WEBHOOK)
        assert decision == Decision(reason=Reason.CONTRADICTION, ask=True, alarm=True)
    again = decide(current=A.SUCCEEDED, claim=Claim.SUCCESS, source=Source.WEBHOOK)
    assert again == Decision(reason=Reason.NO_CHANGE)


def test_second_transaction_of_a_paid_attempt_is_an_alarm():
    """The company charged twice under one reference of ours."""
    decision = decide(
        current=A.SUCCEEDED, claim=Claim.SUCCESS, source=Source.POLL, reference_matches=False
    )

    assert decision == Decision(reason=Reason.REFERENCE_MISMATCH, alarm=True)


def test_transaction_of_another_attempt_is_an_alarm():
    """One transaction of the company cannot pay two of our attempts."""
    decision = decide(
        current=A.PENDING, claim=Claim.SUCCESS, source=Source.WEBHOOK, reference_is_free=False
    )

    assert decision == Decision(reason=Reason.REFERENCE_TAKEN, ask=True, alarm=True)


def test_not_found_ends_an_attempt_only_when_it_is_final():
    """Silence is unknown, never failed."""
    early = decide(current=A.UNKNOWN, claim=Claim.NOT_FOUND, source=Source.POLL)
    final = decide(
        current=A.UNKNOWN, claim=Claim.NOT_FOUND, source=Source.POLL, not_found_is_final=True
    )

    assert early == Decision(reason=Reason.NOT_FOUND_YET)
    assert final.move_to is AttemptStatus.EXPIRED


@pytest.mark.parametrize("claim", [Claim.SUCCESS, Claim.REVERSED])
@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        ({"money_matches": False}, Reason.AMOUNT_MISMATCH),
        ({"money_matches": None}, Reason.AMOUNT_MISSING),
        ({"reference_is_free": False}, Reason.REFERENCE_TAKEN),
    ],
)
def test_reversal_of_what_is_not_on_record_needs_the_proof_of_a_success(claim, proof, reason):
    """What went back had come, so the same is asked of it."""
    decision = decide(current=A.PENDING, claim=claim, source=Source.WEBHOOK, **proof)

    assert decision == Decision(reason=reason, ask=True, alarm=True)


@pytest.mark.parametrize("money_matches", [True, None])
def test_reversal_of_a_success_moves_it(money_matches):
    """All of it, also where the company names no amount; then nothing follows."""
    decision = decide(
        current=A.SUCCEEDED,
        claim=Claim.REVERSED,
        source=Source.WEBHOOK,
        money_matches=money_matches,
    )

    assert decision == Decision(reason=Reason.APPLIED, move_to=A.REVERSED)
    for claim in COMPANY_CLAIMS:
        after = decide(current=A.REVERSED, claim=claim, source=Source.WEBHOOK)
        assert after == Decision(reason=Reason.NO_CHANGE)


def step(status: AttemptStatus, claim: Claim, source: Source) -> tuple[AttemptStatus, bool]:
    """Return where one observation leads, and whether the company is to be asked."""
    decision = decide(current=status, claim=claim, source=source)
    if claim is Claim.REVERSED and decision.move_to is A.SUCCEEDED:
        return step(A.SUCCEEDED, claim, source)
    return decision.move_to or status, decision.ask


def end_of(start: AttemptStatus, observations: list[tuple[Claim, Source]]) -> AttemptStatus:
    """Apply the observations, then what the company answers if we ask it."""
    claims = {claim for claim, _ in observations}
    truths = (Claim.REVERSED, Claim.SUCCESS, Claim.FAILURE)
    truth = next((claim for claim in truths if claim in claims), Claim.FAILURE)
    status, asked, path = start, False, [start]
    for claim, source in observations:
        status, ask = step(status, claim, source)
        asked = asked or ask
        path.append(status)
    if asked:
        path.append(step(status, truth, Source.POLL)[0])
    for before, after in itertools.pairwise(path):
        assert ATTEMPT_RANK[after] >= ATTEMPT_RANK[before]
        assert before is not A.SUCCEEDED or after in {A.SUCCEEDED, A.REVERSED}
    return path[-1]


@given(
    facts=st.lists(
        st.tuples(st.sampled_from(COMPANY_CLAIMS), st.sampled_from([Source.WEBHOOK, Source.POLL])),
        min_size=1,
        max_size=4,
    ),
    start=st.sampled_from([A.SENDING, A.PENDING, A.UNKNOWN]),
    data=st.data(),
)
def test_every_order_with_duplicates_ends_the_same(facts, start, data):
    """Webhooks and polls in any order, each any number of times: one end."""
    reference_end = end_of(start, facts)

    repeats = data.draw(st.lists(st.sampled_from(facts), max_size=4))
    shuffled = data.draw(st.permutations(facts + repeats))

    end = end_of(start, shuffled)

    if Claim.REVERSED in dict(facts):
        assert end is A.REVERSED
    elif Claim.SUCCESS in dict(facts):
        assert end is A.SUCCEEDED
    elif Claim.FAILURE in dict(facts):
        assert end is A.FAILED
    assert end is reference_end
