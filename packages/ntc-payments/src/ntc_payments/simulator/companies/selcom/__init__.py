"""Selcom as its sheet describes it: checkout, C2B and payouts."""

from ntc_payments.simulator.companies.selcom.calls import sign
from ntc_payments.simulator.companies.selcom.company import Selcom

__all__ = ["Selcom", "sign"]
