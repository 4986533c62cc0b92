"""System checks: a kind that could not be sent is found at start-up, not by the first person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.utils.module_loading import import_string
from ntc_core.conf import core_settings

from ntc_notify.conf import Kind, list_kinds, notify_settings
from ntc_notify.errors import RenderingFailed
from ntc_notify.providers.base import LONGEST_CALL_SECONDS
from ntc_notify.quiet_hours import read_quiet_hours
from ntc_notify.registry import find_beem_otp, get_provider, list_provider_names
from ntc_notify.rendering import find_templates
from ntc_notify.template_variables import find_variables
from ntc_notify.types import Channel

__all__ = [
    "check_beem_otp",
    "check_core",
    "check_kinds",
    "check_no_local_provider",
    "check_providers",
    "check_quiet_hours",
    "check_unsubscribe",
]

#: What a provider's `__init__` raises when its options are wrong.
_UNUSABLE = (ImproperlyConfigured, ValueError, TypeError, OSError)


@register
def check_kinds(**_: Any) -> list[CheckMessage]:
    """Every kind can be rendered: settings, resolver, templates and their variables fit."""
    try:
        kinds = list_kinds()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="ntc_notify.E001")]
    return [problem for kind in kinds for problem in _check_kind(kind)]


@register
def check_providers(**_: Any) -> list[CheckMessage]:
    """Every configured provider can be built, keeps to the longest call, and is heard."""
    return [problem for which in _configured() for problem in _check_provider(*which)]


@register
def check_beem_otp(**_: Any) -> list[CheckMessage]:
    """Beem's own OTP product can be built, where it is switched on."""
    try:
        find_beem_otp()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="ntc_notify.E009")]
    return []


@register(Tags.security, deploy=True)
def check_no_local_provider(**_: Any) -> list[CheckMessage]:
    """Without DEBUG no provider keeps messages on this machine instead of sending them."""
    if settings.DEBUG:
        return []
    return [
        Error(
            f"The {channel} provider {name!r} keeps messages in a folder, codes included, and "
            "sends none.",
            hint=f"Take it out of NTC_{channel.upper()}_PROVIDERS in production.",
            id="ntc_notify.E007",
        )
        for channel, name in _configured()
        if _is_local(channel, name)
    ]


def _check_provider(channel: Channel, name: str) -> Iterator[CheckMessage]:
    subject = f"The {channel} provider {name!r}"
    try:
        provider = get_provider(channel, name)
    except _UNUSABLE as error:
        yield Error(f"{subject}: {error}", id="ntc_notify.E005")
        return
    if not 0 < provider.timeout_seconds <= LONGEST_CALL_SECONDS:
        yield Error(
            f"{subject} may take {provider.timeout_seconds:g} s; a call must end within "
            f"{LONGEST_CALL_SECONDS:g} s.",
            id="ntc_notify.E006",
        )
    told = provider.capabilities
    if told.sends_receipts and not (told.signs_receipts or core_settings.WEBHOOK_PATH_SECRET):
        yield Error(
            f"{subject} does not sign its receipts, so only a path with the secret takes them, "
            "and NTC_WEBHOOK_PATH_SECRET is not set.",
            hint="Set it to the provider's webhook_secret, or leave that one out.",
            id="ntc_notify.E010",
        )


def _check_kind(kind: Kind) -> Iterator[CheckMessage]:
    for option, path in (("secrets", kind.secrets), ("attachments", kind.attachments)):
        if path is None:
            continue
        try:
            import_string(path)
        except ImportError as error:
            yield Error(
                f"NTC_NOTIFY_KINDS[{kind.name!r}][{option!r}]: {error}", id="ntc_notify.E002"
            )
    used: set[str] = set()
    for channel in kind.channels:
        for language in notify_settings.NOTIFY_LANGUAGES:
            try:
                names = _template_names(kind, channel, language)
            except (RenderingFailed, TemplateDoesNotExist, TemplateSyntaxError) as error:
                yield Error(f"{kind.name}, {channel}, {language}: {error}", id="ntc_notify.E003")
                continue
            used |= names
            unknown = sorted(names - kind.template_variables - kind.offered_variables)
            if unknown:
                yield Error(
                    f"The {channel} template of {kind.name!r} in {language!r} uses "
                    f"{', '.join(unknown)}, which the kind does not declare.",
                    hint="Add it to 'variables' or 'secret_variables', or mend the template.",
                    id="ntc_notify.E004",
                )
    # A resolver reads stored variables, such as the id of a challenge, that no template shows.
    unused = sorted(kind.template_variables - used) if kind.secrets is None else []
    if unused:
        yield Warning(
            f"No template of {kind.name!r} uses {', '.join(unused)}.", id="ntc_notify.W001"
        )


def _template_names(kind: Kind, channel: Channel, language: str) -> frozenset[str]:
    templates = find_templates(kind=kind, channel=channel, language=language, fallback=False)
    parts = (templates.subject, templates.text, templates.html)
    return frozenset().union(*(find_variables(part) for part in parts if part is not None))


def _configured() -> Sequence[tuple[Channel, str]]:
    return [(channel, name) for channel in Channel for name in list_provider_names(channel)]


def _is_local(channel: Channel, name: str) -> bool:
    try:
        return get_provider(channel, name).is_local
    except _UNUSABLE:
        return False  # check_providers says so


@register
def check_unsubscribe(**_: Any) -> list[CheckMessage]:
    """Marketing emails can say how to end them; Gmail and Yahoo refuse bulk that does not."""
    try:
        kinds = list_kinds()
    except ImproperlyConfigured:
        return []  # check_kinds says so
    marketing = [kind.name for kind in kinds if kind.marketing and Channel.EMAIL in kind.channels]
    if not marketing or notify_settings.NOTIFY_API_URL:
        return []
    return [
        Warning(
            f"Emails of {', '.join(marketing)} have no link to unsubscribe.",
            hint="Set NTC_NOTIFY_API_URL, such as https://api.example.com/api/v1, and mount "
            "ntc_notify.urls there.",
            id="ntc_notify.W002",
        )
    ]


@register
def check_quiet_hours(**_: Any) -> list[CheckMessage]:
    """The quiet hours and their zone can be read."""
    try:
        read_quiet_hours()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="ntc_notify.E008")]
    return []


@register
def check_core(**_: Any) -> list[CheckMessage]:
    """The core is installed, whose own checks find what else the URLs need."""
    if apps.is_installed("ntc_core"):
        return []
    return [
        Warning(
            "ntc_core is not in INSTALLED_APPS: where the URLs refuse something, they answer 500.",
            hint="Add it, and do what its checks then ask for; see the README of ntc_core.",
            id="ntc_notify.W003",
        )
    ]
