"""How many codes may leave: per asker and per country.

What holds per phone or mailbox is counted in the rows themselves (`codes`). The limits per
address and per country stop somebody who makes us write to ever new numbers, at our cost. An
asker's own share of one destination leaves the rest of it to whom the phone belongs.
"""

from __future__ import annotations

from ntc_core.auth.conf import DAY, HOUR, auth_settings
from ntc_core.auth.models import OneTimeCode
from ntc_core.client import address_to_count, client_address, current_request, network_of
from ntc_core.rate_limits import Limit, Verdict, take
from ntc_core.throttling import call_refused

__all__ = ["take_code_limits"]


def take_code_limits(challenge: OneTimeCode) -> Verdict:
    """Count one code to be sent.

    Raises:
        RateLimited: too many were asked for from this address, or from this network for
            this destination, or sent to this country.
    """
    limits = [*_limits_of_asker(challenge), *_limits_of_country(challenge)]
    verdict = take(*limits)
    if verdict.refused_by is not None:
        call_refused.send(sender=Limit, limit=verdict.refused_by)
        raise verdict.as_error()
    return verdict


def _limits_of_asker(challenge: OneTimeCode) -> list[Limit]:
    request = current_request()
    if request is None:  # a job or a command of ours
        return []
    address = f"address:{address_to_count(request)}"
    # The whole network: to get another address within it takes a moment in flight mode.
    network = network_of(client_address(request))
    share = f"network:{network}\n{challenge.purpose}\n{challenge.destination}"
    per_address, per_hour, per_day = (
        auth_settings.CODES_PER_ADDRESS_PER_HOUR,
        auth_settings.CODES_PER_ASKER_PER_HOUR,
        auth_settings.CODES_PER_ASKER_PER_DAY,
    )
    return [
        Limit(name="codes_address", who=address, count=per_address, seconds=HOUR),
        Limit(name="codes_asker", who=share, count=per_hour, seconds=HOUR),
        Limit(name="codes_asker_day", who=share, count=per_day, seconds=DAY),
    ]


def _limits_of_country(challenge: OneTimeCode) -> list[Limit]:
    counts = auth_settings.CODES_PER_COUNTRY_PER_DAY if challenge.channel == "sms" else {}
    prefixes = [prefix for prefix in counts if challenge.destination.startswith(prefix)]
    if not prefixes:
        return []
    prefix = max(prefixes, key=len)
    return [Limit(name="codes_country", who=f"prefix:{prefix}", count=counts[prefix], seconds=DAY)]
