"""Kind, channel, language and facts in; subject and body out.

Templates are Django templates of the project, found by name:

    ntc_notify/<kind>/sms.<language>.txt
    ntc_notify/<kind>/email.<language>.txt      its first line is "Subject: …"
    ntc_notify/<kind>/email.<language>.html     optional
    ntc_notify/<kind>/inapp.<language>.txt      its first line is "Subject: …", the title

Text is not escaped, HTML is. Nothing here knows rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.template import Context, Engine, Template, TemplateDoesNotExist
from django.utils import translation
from django.utils.module_loading import import_string

from ntc_notify.conf import Kind, notify_settings
from ntc_notify.errors import RenderingFailed
from ntc_notify.segments import to_plain_characters
from ntc_notify.types import CONTROL_CHARACTERS, Channel

__all__ = ["Rendered", "TemplateSet", "find_templates", "render", "resolve_secrets"]

_SUBJECT = "subject:"
_ENCODED_WORD = re.compile(r"=\?(?=.*\?=)")  # RFC 2047


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What a person will read."""

    text: str
    subject: str = ""
    html: str | None = None


@dataclass(frozen=True, kw_only=True)
class TemplateSet:
    """The templates of one message, all in one language; an SMS has only `text`."""

    language: str
    text: Template
    subject: Template | None = None
    html: Template | None = None


def render(
    *, kind: Kind, channel: Channel, language: str, variables: Mapping[str, Any]
) -> Rendered:
    """Render in that language, or in the first language of the settings there is.

    Raises:
        RenderingFailed: no template, no subject line, or an empty text.
    """
    templates = find_templates(kind=kind, channel=channel, language=language)
    with translation.override(templates.language):
        text = _fill(templates.text, variables).strip()
        subject = _fill(templates.subject, variables) if templates.subject else ""
        html = templates.html.render(Context(dict(variables))) if templates.html else None
    if not text:
        raise RenderingFailed(f"{templates.text.name} yields an empty text.")
    if channel is Channel.SMS and notify_settings.NOTIFY_PLAIN_SMS:
        text = to_plain_characters(text)
    return Rendered(text=text, subject=_make_line(subject), html=html)


def resolve_secrets(*, kind: Kind, context: Mapping[str, Any]) -> dict[str, Any]:
    """Ask the project for the secret variables of one message.

    Raises:
        ContentGone: from the resolver: there is nothing to say any more.
        RenderingFailed: the resolver returned other names than the kind declares.
    """
    if kind.secrets is None:
        return {}
    secrets: dict[str, Any] = dict(import_string(kind.secrets)(dict(context)))
    if secrets.keys() != kind.secret_variables:
        raise RenderingFailed(
            f"{kind.secrets} returned {sorted(secrets)}, "
            f"but the kind {kind.name!r} declares {sorted(kind.secret_variables)}."
        )
    return secrets


def find_templates(
    *, kind: Kind, channel: Channel, language: str, fallback: bool = True
) -> TemplateSet:
    """Load the templates of one message.

    Raises:
        RenderingFailed: there is none, or the email has no subject line.
        TemplateSyntaxError: Django cannot read one.
    """
    languages = dict.fromkeys([language, *(notify_settings.NOTIFY_LANGUAGES if fallback else ())])
    stems = {name: f"ntc_notify/{kind.name}/{channel}.{name}" for name in languages}
    for found, stem in stems.items():
        text = _find(f"{stem}.txt")
        if text is None:
            continue
        if channel is Channel.SMS:
            return TemplateSet(language=found, text=text)
        subject, body = _split_subject(text)
        html = _find(f"{stem}.html") if channel is Channel.EMAIL else None
        return TemplateSet(language=found, text=body, subject=subject, html=html)
    wanted = " or ".join(f"{stem}.txt" for stem in stems.values())
    raise RenderingFailed(f"There is no template {wanted}.")


def _find(name: str) -> Template | None:
    try:
        return Engine.get_default().get_template(name)
    except TemplateDoesNotExist:
        return None


def _split_subject(template: Template) -> tuple[Template, Template]:
    """Compile the first line by itself, so that no variable can reach beyond its own part."""
    first, _, rest = template.source.partition("\n")
    if not first.lower().startswith(_SUBJECT) or not first[len(_SUBJECT) :].strip():
        raise RenderingFailed(f"{template.name} must begin with a line 'Subject: …'.")
    return (
        Template(first[len(_SUBJECT) :], name=template.name, engine=template.engine),
        Template(rest, origin=template.origin, name=template.name, engine=template.engine),
    )


def _make_line(text: str) -> str:
    """Return one line, whatever a variable held: a line break would begin another header.

    A line break can also be written as an encoded word, which mail programs read.
    """
    line = " ".join(CONTROL_CHARACTERS.sub(" ", text).split())
    return _ENCODED_WORD.sub("= ?", line)


def _fill(template: Template, variables: Mapping[str, Any]) -> str:
    return template.render(Context(dict(variables), autoescape=False))
