"""Show what a kind looks like with sample values: nothing is stored, nobody is sent anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.template import TemplateSyntaxError

from ntc_notify.conf import UNSUBSCRIBE_URL, Kind, notify_settings
from ntc_notify.errors import RenderingFailed
from ntc_notify.registry import list_provider_names
from ntc_notify.rendering import render
from ntc_notify.segments import SmsSize, measure_sms
from ntc_notify.services.composing import Price, estimate_cost
from ntc_notify.types import Channel

__all__ = ["Preview", "make_samples", "preview_kind"]


@dataclass(frozen=True, kw_only=True)
class Preview:
    """One channel in one language, or why it cannot be rendered."""

    channel: Channel
    language: str
    subject: str = ""
    text: str = ""
    html: str | None = None
    size: SmsSize | None = None
    prices: tuple[tuple[str, Price], ...] = ()
    problem: str = ""


def make_samples(kind: Kind, given: Mapping[str, str]) -> dict[str, str]:
    """Return a value for every variable of the kind: what is given, else its name."""
    names = sorted(kind.template_variables)
    return {name: given.get(name) or f"<{name}>" for name in names}


def preview_kind(kind: Kind, samples: Mapping[str, str]) -> list[Preview]:
    """Render every channel in every language of the settings."""
    variables = dict(samples)
    if kind.marketing:
        variables[UNSUBSCRIBE_URL] = "https://…/unsubscribe/…"
    return [
        _preview(kind, channel, language, variables)
        for channel in kind.channels
        for language in notify_settings.NOTIFY_LANGUAGES
    ]


def _preview(kind: Kind, channel: Channel, language: str, variables: dict[str, str]) -> Preview:
    try:
        shown = render(kind=kind, channel=channel, language=language, variables=variables)
    except (RenderingFailed, TemplateSyntaxError) as error:
        return Preview(channel=channel, language=language, problem=str(error))
    size = measure_sms(shown.text) if channel is Channel.SMS else None
    prices = []
    if size is not None:
        for name in list_provider_names(channel):
            price = estimate_cost(name, size.segments)
            if price is not None:
                prices.append((name, price))
    return Preview(
        channel=channel,
        language=language,
        subject=shown.subject,
        text=shown.text,
        html=shown.html,
        size=size,
        prices=tuple(prices),
    )
