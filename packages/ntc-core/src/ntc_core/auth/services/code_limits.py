"""How many codes may leave: per address of the asker and per country, whoever they are for.

What holds per phone or mailbox is counted in the rows themselves (`codes`). These two stop
somebody who makes us write to ever new numbers, at our cost.
"""

from __future__ import annotations

from ntc_core.auth.conf import DAY, HOUR, auth_settings
from ntc_core.auth.models import OneTimeCode
from ntc_core.client import address_to_count, current_request
from ntc_core.rate_limits import Limit, Verdict, take
from ntc_core.throttling import call_refused

__all__ = ["take_code_limits"]


def take_code_limits(challenge: OneTimeCode) -> Verdict:
    """Count one code to be sent.

    Raises:
        RateLimited: too many were asked for from this address, or sent to this country.
    """
    limits = [*_limits_of_address(), *_limits_of_country(challenge)]
    verdict = take(*limits)
    if verdict.refused_by is not None:
        call_refused.send(sender=Limit, limit=verdict.refused_by)
        raise verdict.as_error()
    return verdict


def _limits_of_address() -> list[Limit]:
    request = current_request()
    if request is None:  # a job or a command of ours
        return []
    count = auth_settings.CODES_PER_ADDRESS_PER_HOUR
    who = f"address:{address_to_count(request)}"
    return [Limit(name="codes_address", who=who, count=count, seconds=HOUR)]


def _limits_of_country(challenge: OneTimeCode) -> list[Limit]:
    counts = auth_settings.CODES_PER_COUNTRY_PER_DAY if challenge.channel == "sms" else {}
    prefixes = [prefix for prefix in counts if challenge.destination.startswith(prefix)]
    if not prefixes:
        return []
    prefix = max(prefixes, key=len)
    return [Limit(name="codes_country", who=f"prefix:{prefix}", count=counts[prefix], seconds=DAY)]
