"""ClickPesa: the company, and the parts that it is made of."""

from ntc_payments.simulator.companies.clickpesa.company import ClickPesa

__all__ = ["ClickPesa"]
