"""Selcom, in four files: how it signs, what we send, what its answers mean, the provider."""

from ntc_payments.providers.selcom.provider import SelcomProvider

__all__ = ["SelcomProvider"]
