"""Templates: language, subject, escaping, secrets, and which variables they use."""

from __future__ import annotations

import pytest
from django.template import Engine, Template, TemplateSyntaxError
from ntc_notify.conf import get_kind
from ntc_notify.errors import ContentGone, RenderingFailed
from ntc_notify.rendering import render, resolve_secrets
from ntc_notify.template_variables import find_variables
from ntc_notify.types import Channel

from tests.project import CODES

FACTS = {"name": "Asha", "amount": "TZS 5,000", "reference": "R-1"}


@pytest.fixture
def templates(settings, tmp_path):
    """Return a function that adds a template of the project."""
    folder = tmp_path / "templates"
    settings.TEMPLATES = [
        {**settings.TEMPLATES[0], "DIRS": [folder, *settings.TEMPLATES[0]["DIRS"]]}
    ]

    def add(name: str, text: str) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return add


def render_receipt(channel=Channel.EMAIL, language="sw", **facts):
    return render(
        kind=get_kind("receipt"), channel=channel, language=language, variables=FACTS | facts
    )


def test_email_has_subject_text_and_html_in_one_language():
    rendered = render_receipt()

    assert rendered.subject == "Risiti ya TZS 5,000"
    assert rendered.text == "Habari Asha,\n\nTumepokea TZS 5,000. Kumbukumbu: R-1."
    assert rendered.html == "<p>Habari Asha, tumepokea <b>TZS 5,000</b> (R-1).</p>\n"


def test_html_of_another_language_is_not_mixed_in():
    """There is email.sw.html, but no email.en.html."""
    rendered = render_receipt(language="en")

    assert rendered.subject == "Receipt for TZS 5,000"
    assert rendered.html is None


def test_sms_has_only_a_text():
    rendered = render_receipt(Channel.SMS)

    assert rendered.text == "Habari Asha, tumepokea TZS 5,000. Kumbukumbu: R-1."
    assert rendered.subject == ""


def test_language_without_templates_falls_back_to_swahili_then_english(templates, settings):
    assert render_receipt(language="fr").subject == "Risiti ya TZS 5,000"

    settings.NTC_NOTIFY_KINDS = {"hello": {"channels": ["sms"]}}
    templates("ntc_notify/hello/sms.en.txt", "Hello")
    rendered = render(kind=get_kind("hello"), channel=Channel.SMS, language="sw", variables={})

    assert rendered.text == "Hello"


def test_text_is_not_escaped_and_html_is():
    rendered = render_receipt(name="<Asha & Co>")

    assert "Habari <Asha & Co>," in rendered.text
    assert "&lt;Asha &amp; Co&gt;" in rendered.html


def test_variable_cannot_leave_the_subject_line():
    rendered = render_receipt(amount="5\r\nBcc: thief@example.com\n\nSend me your PIN")

    assert rendered.subject == "Risiti ya 5 Bcc: thief@example.com Send me your PIN"
    assert rendered.text.startswith("Habari Asha,")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("=?utf-8?q?5=0d=0aBcc=3A_x=40y.z?=", "= ?utf-8?q?5=0d=0aBcc=3A_x=40y.z?="),
        ("=?utf-8?b?NQ0KQmNjOiB4?= =?", "= ?utf-8?b?NQ0KQmNjOiB4?= =?"),
        ("https://duka.tz/?a=?b", "https://duka.tz/?a=?b"),
        ("5\x01\x1b\x7f6", "5 6"),
    ],
)
def test_subject_says_what_the_variable_says_and_no_mail_program_reads_more_into_it(amount, shown):
    assert render_receipt(amount=amount).subject == f"Risiti ya {shown}"


def test_typographic_characters_in_sms_become_plain_unless_switched_off(settings):
    assert "Ng'ombe" in render_receipt(Channel.SMS, name="Ng\u2019ombe").text

    settings.NTC_NOTIFY_PLAIN_SMS = False

    assert "Ng\u2019ombe" in render_receipt(Channel.SMS, name="Ng\u2019ombe").text


def test_dates_and_numbers_follow_the_language_of_the_template(templates, settings):
    settings.NTC_NOTIFY_KINDS = {"hello": {"channels": ["sms"]}}
    templates(
        "ntc_notify/hello/sms.sw.txt", "{% load i18n %}{% get_current_language as l %}{{ l }}"
    )
    rendered = render(kind=get_kind("hello"), channel=Channel.SMS, language="sw", variables={})

    assert rendered.text == "sw"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("email.sw.txt", "Habari {{ name }}", "must begin with a line 'Subject: …'"),
        ("email.sw.txt", "Subject:  \nHabari", "must begin with a line 'Subject: …'"),
        ("email.sw.txt", "Subject: Habari\n\n {{ nothing }}", "empty text"),
        ("sms.sw.txt", "  \n", "empty text"),
    ],
)
def test_template_without_what_its_channel_needs_is_refused(templates, settings, name, text, words):
    settings.NTC_NOTIFY_KINDS = {"hello": {"channels": ["sms", "email"]}}
    templates(f"ntc_notify/hello/{name}", text)

    with pytest.raises(RenderingFailed, match=words):
        render(
            kind=get_kind("hello"),
            channel=Channel(name.partition(".")[0]),
            language="sw",
            variables={},
        )


def test_missing_template_is_named(settings):
    settings.NTC_NOTIFY_KINDS = {"hello": {"channels": ["sms"]}}

    with pytest.raises(RenderingFailed, match=r"hello/sms\.sw\.txt or .*sms\.en\.txt"):
        render(kind=get_kind("hello"), channel=Channel.SMS, language="sw", variables={})


def test_secrets_come_from_the_project():
    CODES["c1"] = "481 516"
    kind = get_kind("verification_code")

    assert resolve_secrets(kind=kind, context={"challenge_uid": "c1"}) == {"code": "481 516"}
    assert resolve_secrets(kind=get_kind("receipt"), context=FACTS) == {}
    with pytest.raises(ContentGone):
        resolve_secrets(kind=kind, context={"challenge_uid": "used"})


def test_resolver_that_returns_other_names_is_a_mistake_whose_value_is_not_told(settings):
    settings.NTC_NOTIFY_KINDS = {
        "verification_code": {
            "channels": ["sms"],
            "secrets": "tests.project.read_wrong_names",
            "secret_variables": ["code"],
        }
    }

    with pytest.raises(RenderingFailed, match=r"returned \['pin'\].*declares \['code'\]"):
        resolve_secrets(kind=get_kind("verification_code"), context={})


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("plain", set()),
        ("{{ a }} {{ b.c }} {{ 'x' }} {{ 7 }}", {"a", "b"}),
        ("{{ a|default:b|date:'Y' }}", {"a", "b"}),
        ("{% if a == b and not c.d %}{{ e }}{% elif f %}{% else %}{{ g }}{% endif %}",
         set("abcefg")),
        ("{% for x, y in z %}{{ x }}{{ y }}{{ a }}{{ forloop.last }}{% empty %}{{ e }}{% endfor %}",
         {"z", "a", "e"}),
        ("{% for a in a %}{{ a }}{% endfor %}", {"a"}),
        ("{% with n=a.b m=2 %}{{ n }}{{ m }}{{ c }}{% endwith %}", {"a", "c"}),
        ("{% filter upper %}{{ a }}{% endfilter %}", {"a"}),
        ("{% now 'Y' as year %}{{ year }}", set()),
        ("{% firstof a b 'c' %}{% cycle d e %}", set("abde")),
        ("{% include 'part.txt' with given=a %}", {"a", "wanted"}),
        ("{% include 'part.txt' only %}", {"given", "wanted"}),
        ("{% include chosen %}", {"chosen"}),
        ("{% extends 'base.txt' %}{% block middle %}{{ a }}{{ block.super }}{% endblock %}",
         {"a", "greeting"}),
    ],
)  # fmt: skip
def test_variables_of_a_template_are_found(templates, source, names):
    templates("part.txt", "{{ given }} {{ wanted }}")
    templates("base.txt", "{{ greeting }} {% block middle %}{% endblock %}")

    template = Template(source, engine=Engine.get_default())

    assert find_variables(template) == names


def test_unreadable_template_says_so(templates):
    templates("ntc_notify/receipt/sms.sw.txt", "{% if %}")

    with pytest.raises(TemplateSyntaxError):
        render_receipt(Channel.SMS)
