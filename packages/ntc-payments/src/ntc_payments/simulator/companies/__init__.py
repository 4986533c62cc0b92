"""The companies that the simulator plays, one file each."""

from ntc_payments.simulator.companies.base import Company
from ntc_payments.simulator.companies.beem import Beem
from ntc_payments.simulator.companies.clickpesa import ClickPesa
from ntc_payments.simulator.companies.polar import Polar
from ntc_payments.simulator.companies.pretend import PretendMoney
from ntc_payments.simulator.companies.selcom import Selcom

__all__ = ["COMPANIES", "Company"]

#: All of them; the first one has the paths without a prefix.
COMPANIES: tuple[type[Company], ...] = (PretendMoney, Selcom, ClickPesa, Beem, Polar)
