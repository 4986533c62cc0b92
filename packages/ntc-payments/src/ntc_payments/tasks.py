"""The jobs of payments. Each one only calls a service; see `ntc_core.outbox`."""

from __future__ import annotations

from ntc_core.outbox import RetryLater, job

from ntc_payments import services

__all__ = [
    "announce",
    "announce_payout",
    "announce_refund",
    "cancel_attempt",
    "check_disputes",
    "poll_attempt",
    "poll_due",
    "poll_payout",
    "poll_refund",
    "process_webhook_event",
    "refund_automatically",
    "send_attempt",
    "send_payout",
    "send_refund",
]


@job("ntc_payments.send_attempt", atomic=False, lease_seconds=120, queue="companies")
def send_attempt(attempt_id: int) -> None:
    """Ask the company to collect."""
    wait_seconds = services.send_attempt(attempt_id=attempt_id)
    if wait_seconds is not None:
        # Until the payment expires, however often: the company never saw it.
        raise RetryLater("not sent", delay_seconds=wait_seconds)


@job("ntc_payments.poll_due", atomic=False, every_seconds=5)
def poll_due() -> None:
    """Plan the queries that are due."""
    services.poll_due()


@job("ntc_payments.poll_attempt", atomic=False, max_attempts=3, queue="companies")
def poll_attempt(attempt_id: int) -> None:
    """Ask the company what became of an attempt."""
    services.poll_attempt(attempt_id=attempt_id)


@job("ntc_payments.cancel_attempt", atomic=False, max_attempts=5, queue="companies")
def cancel_attempt(attempt_id: int) -> None:
    """Ask the company to withdraw a prompt."""
    wait_seconds = services.cancel_attempt(attempt_id=attempt_id)
    if wait_seconds is not None:
        raise RetryLater("its call is still out", delay_seconds=wait_seconds)


@job(
    "ntc_payments.check_disputes",
    atomic=False,
    lease_seconds=600,
    every_seconds=6 * 3600,
    queue="companies",
)
def check_disputes() -> None:
    """Ask companies what payers complain about at their banks."""
    services.check_disputes()


@job("ntc_payments.process_webhook_event")
def process_webhook_event(event_id: int, tries: int = 0) -> None:
    """Apply a stored webhook."""
    services.process_webhook_event(event_id=event_id, tries=tries)


@job("ntc_payments.announce")
def announce(event: str, payment_id: int, attempt_id: int) -> None:
    """Send a signal."""
    services.announce(event=event, payment_id=payment_id, attempt_id=attempt_id)


@job("ntc_payments.send_refund", atomic=False, lease_seconds=120, queue="companies")
def send_refund(refund_id: int) -> None:
    """Ask the company to give money back."""
    _again_after(services.send_refund(refund_id=refund_id))


@job("ntc_payments.poll_refund", atomic=False, max_attempts=3, queue="companies")
def poll_refund(refund_id: int) -> None:
    """Ask the company what became of a refund."""
    services.poll_refund(refund_id=refund_id)


@job("ntc_payments.refund_automatically")
def refund_automatically(attempt_id: int, amount_minor: int, key: str) -> None:
    """Give back what a policy does not want."""
    services.refund_automatically(attempt_id=attempt_id, amount_minor=amount_minor, key=key)


@job("ntc_payments.send_payout", atomic=False, lease_seconds=120, queue="companies")
def send_payout(payout_id: int) -> None:
    """Ask the company to pay out."""
    _again_after(services.send_payout(payout_id=payout_id))


@job("ntc_payments.poll_payout", atomic=False, max_attempts=3, queue="companies")
def poll_payout(payout_id: int) -> None:
    """Ask the company what became of a payout."""
    services.poll_payout(payout_id=payout_id)


@job("ntc_payments.announce_refund")
def announce_refund(event: str, refund_id: int) -> None:
    """Send the signal of a refund."""
    services.announce_refund(event=event, refund_id=refund_id)


@job("ntc_payments.announce_payout")
def announce_payout(event: str, payout_id: int) -> None:
    """Send the signal of a payout."""
    services.announce_payout(event=event, payout_id=payout_id)


def _again_after(wait_seconds: float | None) -> None:
    if wait_seconds is not None:
        raise RetryLater("not sent", delay_seconds=wait_seconds)
