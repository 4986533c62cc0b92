"""Selcom (Tanzania): checkout, control numbers and payouts.

`provider` holds the conversation, `requests` what we write into it, `answers` what theirs
mean, `inbound` their calls to us, `signing` the proof of both. Source: docs/providers/selcom.md.
"""

from ntc_payments.providers.selcom.provider import SelcomProvider

__all__ = ["SelcomProvider"]
