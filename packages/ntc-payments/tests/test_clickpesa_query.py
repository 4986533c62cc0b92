"""ClickPesa: what the rows of a query say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from ntc_core.http import AnswerUnreadable, NoAnswer
from ntc_core.money import Money
from ntc_payments.providers.clickpesa import ClickPesaProvider
from ntc_payments.types import (
    CallHandle,
    Claim,
    FailureCode,
    Observation,
    Trust,
)

from tests.clickpesa_company import BODIES, Company, running_company
from tests.clickpesa_orders import (
    QUERY,
    REFERENCE,
    handle,
    make_provider,
    row,
)


@pytest.fixture
def company() -> Iterator[Company]:
    """Return a company that knows a token and nothing else yet."""
    with running_company() as running:
        yield running


@pytest.fixture
def provider(company) -> ClickPesaProvider:
    return make_provider(company.base_url)


def test_documented_row_is_read_exactly(provider, company):
    company.answer(QUERY, BODIES["query_payment_ok"])

    assert provider.query(handle()) == [
        Observation(
            reference=REFERENCE,
            claim=Claim.SUCCESS,
            money=Money.from_major(10000, "TZS"),
            provider_ref="CPTEST0001LCP",
            trust=Trust.STRONG,
            occurred_at=datetime(2026, 3, 2, 5, 17, 2, tzinfo=UTC),
        )
    ]
    assert company.calls[-1].text == ""


@pytest.mark.parametrize(
    ("status", "claim"),
    [
        ("PENDING", Claim.ACCEPTED),
        ("PROCESSING", Claim.ACCEPTED),
        ("ON-HOLD", Claim.ACCEPTED),
        ("AUTHORIZED", Claim.ACCEPTED),
        ("success", Claim.ACCEPTED),
        (None, Claim.ACCEPTED),
        ("SUCCESS", Claim.SUCCESS),
        ("SETTLED", Claim.SUCCESS),
        ("FAILED", Claim.FAILURE),
        ("REFUNDED", Claim.REVERSED),
        ("REVERSED", Claim.REVERSED),
    ],
)
def test_status_words(provider, company, caplog, status, claim):
    """One that is not listed is on its way, and people are told."""
    company.answer(QUERY, [row(status=status)])

    [observation] = provider.query(handle())

    assert observation.claim is claim
    listed = status in {"PENDING", "PROCESSING"} or claim is not Claim.ACCEPTED
    assert ("payment.status_for_people" in caplog.messages) is not listed


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        (b"10000", 1_000_000),
        (b'"10000"', 1_000_000),
        (b'"10000.00"', 1_000_000),
        (b"10000.10", 1_000_010),
        # As a float this is 90071992547409.92.
        (b"90071992547409.91", 9_007_199_254_740_991),
        (b"1e4", 1_000_000),
    ],
)
def test_amounts_are_exact(provider, company, amount, minor):
    body = json.dumps([row(collectedAmount="?")]).encode().replace(b'"?"', amount)
    company.answer(QUERY, body)

    [observation] = provider.query(handle())

    assert observation.money == Money(minor=minor, currency="TZS")


@pytest.mark.parametrize(
    "body",
    [
        b'[{"orderReference": "ORDTEST0001", "status": "SUCCESS", "collectedAmount": NaN}]',
        b'[{"orderReference": "ORDTEST0001", "collectedAmount": 1e99999999999999999999}]',
        b'[{"orderReference": "ORDTEST0001", "status": "FAILED", "other": NaN}]',
        [row(collectedAmount=True)],
        [row(collectedAmount="10,000")],
        [row(collectedAmount="10000.001")],
        [row(collectedAmount=-5)],
        [row(collectedCurrency="XXX")],
        [row(id="a\u0000b")],
        [7],
        {"data": []},
        b'[{"orderReference": "ORDTEST0001", "status": "FAILED", "status": "SUCCESS"}]',
    ],
)
def test_row_out_of_shape_is_unreadable(provider, company, body):
    company.answer(QUERY, body)

    with pytest.raises(AnswerUnreadable):
        provider.query(handle())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Insufficient funds", FailureCode.INSUFFICIENT_FUNDS),
        ("Request timeout", FailureCode.OTHER),
        (None, FailureCode.OTHER),
    ],
)
def test_failure_says_why(provider, company, message, code):
    company.answer(QUERY, [row(status="FAILED", message=message, collectedAmount=None)])

    [observation] = provider.query(handle())

    assert observation.failure_code is code
    assert observation.failure_message == (message or "")


def test_every_payment_under_one_reference_is_told(provider, company):
    """Money counts before what is on its way, and that before a failure."""
    paid, again = row(id="CP1"), row(id="CP2", collectedAmount="5000")
    back = row(id="CP3", status="REVERSED")
    waiting, failed = row(id="CP4", status="PROCESSING"), row(id="CP5", status="FAILED")
    for rows, told in [
        ([failed, back, waiting, paid, again], ["CP1", "CP2", "CP3"]),
        ([failed, waiting], ["CP4"]),
        ([failed, row(id="CP6", status="FAILED")], ["CP5", "CP6"]),
    ]:
        with running_company() as other:
            other.answer(QUERY, rows)
            seen = make_provider(other.base_url).query(handle())
        assert [each.provider_ref for each in seen] == told


@pytest.mark.parametrize(("status", "body"), [(404, BODIES["query_payment_http_404"]), (200, [])])
@pytest.mark.parametrize(
    ("method", "claim"),
    [
        ("", Claim.NOT_FOUND),
        ("mobile_push", Claim.NOT_FOUND),
        # A page is in /payments only once somebody pays on it.
        ("hosted_checkout", Claim.ACCEPTED),
        ("card", Claim.ACCEPTED),
    ],
)
def test_unknown_reference(provider, company, *, status, body, method, claim):
    company.answer(QUERY, body, status=status)

    assert provider.query(handle(method)) == [Observation(reference=REFERENCE, claim=claim)]


def test_404_of_something_else_says_nothing(provider):
    """A wrong address would make every payment "not found"."""
    with pytest.raises(NoAnswer):
        provider.query(handle())


def test_reference_cannot_become_another_path(provider, company):
    with pytest.raises(NoAnswer):
        provider.query(CallHandle(reference="../account?x=1"))

    assert company.calls[-1].path == "/payments/..%2Faccount%3Fx%3D1"
