"""Who may try a password, and how often.

Four limits count failures (the rates are in DEFAULT_THROTTLE_RATES):

    login_failed           per address, whatever the account: wide, for thousands share one
    login_failed_hour      the same for a longer time, which is what a guesser has
    login_failed_device    per account and address
    login_failed_account   per account, from all addresses where it has never signed in

The last one stops a guesser with many addresses. It does not lock the owner out: a try from
a network where they have signed in before is counted by the others alone.
docs/decisions/0010-who-is-counted-at-sign-in.md tells why.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ObjectDoesNotExist

from ntc_core.auth.audit import record_event
from ntc_core.auth.errors import CredentialsInvalid
from ntc_core.auth.models import AuthSession
from ntc_core.client import address_to_count, client_address, network_of
from ntc_core.phone import InvalidPhone, mask_email, mask_phone, parse_phone
from ntc_core.rate_limits import Limit, give_back, take
from ntc_core.throttling import call_refused, limit_of, one_spelling

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

__all__ = ["guard_login"]


@contextmanager
def guard_login(
    *,
    identifier: str,
    request: HttpRequest | Request | None,
    failure: type[Exception] = CredentialsInvalid,
) -> Iterator[None]:
    """Count the block as one try to sign in; a block that succeeds does not count.

    The try is counted before it is made, so however many come at once, no more than the
    limit get to compare a password.

    Args:
        failure: what the block raises where the password is wrong.

    Raises:
        RateLimited: too many have failed.
    """
    user = _find_user(identifier)
    verdict = take(*filter(None, _limits_of(user, identifier, request)))
    if verdict.refused_by is not None:
        call_refused.send(sender=Limit, limit=verdict.refused_by)
        raise verdict.as_error()
    try:
        yield
    except failure:
        record_event(
            "auth.login.failed",
            user=user,
            request=request,
            level=logging.WARNING,
            identifier=_masked(identifier),
        )
        raise
    give_back(verdict)


def _find_user(identifier: str) -> Any:
    """Return the account, None where there is none; one query either way."""
    try:
        return get_user_model()._default_manager.get_by_natural_key(identifier)  # noqa: SLF001 - Django's name for it
    except ObjectDoesNotExist:
        return None


def _limits_of(
    user: Any, identifier: str, request: HttpRequest | Request | None
) -> list[Limit | None]:
    # By the person, not by what was typed: a phone and an email address are one account.
    account = f"name:{one_spelling(identifier)}" if user is None else f"user:{user.pk}"
    if request is None:
        return [limit_of("login_failed_account", who=account)]
    address = address_to_count(request)
    limits = [
        limit_of("login_failed", who=f"address:{address}"),
        limit_of("login_failed_hour", who=f"address:{address}"),
        limit_of("login_failed_device", who=f"{account} address:{address}"),
    ]
    if not _has_signed_in_from(network_of(client_address(request)), user):
        limits.append(limit_of("login_failed_account", who=account))
    return limits


def _has_signed_in_from(network: str, user: Any) -> bool:
    """Tell whether the account has a session from there; one query, also for nobody."""
    sessions = AuthSession.objects.filter(user=user, ip_prefix=network)
    return sessions.exclude(ip_prefix="").exists()


def _masked(identifier: str) -> str:
    """Return a recognisable mask; nothing at all of what may be a password in the wrong field."""
    if "@" in identifier:
        return mask_email(identifier)
    try:
        return mask_phone(parse_phone(identifier))
    except InvalidPhone:
        return "***"
