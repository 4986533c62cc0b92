"""Polar: the company, and the parts that it is made of."""

from ntc_payments.simulator.companies.polar.company import Polar

__all__ = ["Polar"]
