"""The local mailbox: its files and the page that shows them."""

from __future__ import annotations

import json
import re
import stat
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest
from ntc_notify.providers.mailbox import MailboxProvider, read_mailbox
from ntc_notify.types import Outcome, OutgoingEmail, OutgoingSms

URL = "/dev/mailbox/"


def make_sms(text: str = "Namba yako ni 481516", **values) -> OutgoingSms:
    return OutgoingSms(**{"provider_uid": uuid4(), "to": "+255712345678", "text": text} | values)


def make_email(**values) -> OutgoingEmail:
    return OutgoingEmail(
        **{
            "provider_uid": uuid4(),
            "to": "asha@example.com",
            "sender": "no-reply@example.com",
            "subject": "Risiti",
            "text": "Habari",
        }
        | values
    )


@pytest.fixture
def provider(mailbox: Path) -> MailboxProvider:
    return MailboxProvider(directory=str(mailbox))


def test_message_is_one_whole_file_that_others_cannot_read(provider, mailbox):
    sms = make_sms()

    outcome = provider.send(sms)

    assert outcome.outcome == Outcome.DELIVERED
    assert outcome.provider_ref == str(sms.provider_uid)
    (file,) = mailbox.iterdir()
    assert file.name == f"{sms.provider_uid}.json"
    assert json.loads(file.read_text("utf-8"))["body"] == "Namba yako ni 481516"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(mailbox.stat().st_mode) == 0o700


def test_same_id_again_is_the_same_message(provider, mailbox):
    sms = make_sms()

    provider.send(sms)
    provider.send(sms)

    assert len(read_mailbox(mailbox)) == 1


def test_folder_that_cannot_be_written_means_try_later(tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")

    outcome = MailboxProvider(directory=str(in_the_way / "mailbox")).send(make_sms())

    assert outcome.outcome == Outcome.RETRY


def test_nothing_half_written_stays_behind(provider, mailbox):
    """A lone surrogate cannot be written as UTF-8."""
    with pytest.raises(UnicodeEncodeError):
        provider.send(make_sms("\ud800"))

    assert list(mailbox.iterdir()) == []


def test_absent_folder_is_an_empty_mailbox(mailbox):
    assert read_mailbox(mailbox) == []


@pytest.fixture
def debug(settings):
    settings.DEBUG = True


def test_page_answers_json_newest_first(client, debug, provider):
    provider.send(make_sms("one"))
    provider.send(make_email(text="two", html="<p>two</p>"))

    response = client.get(URL, headers={"accept": "application/json"})

    assert response["Content-Type"] == "application/json"
    listed = response.json()
    assert [message["body"] for message in listed] == ["two", "one"]
    assert {key: listed[0][key] for key in ("to", "channel", "subject")} == {
        "to": "asha@example.com",
        "channel": "email",
        "subject": "Risiti",
    }
    assert listed[1]["to"] == "+255712345678"
    assert listed[1]["channel"] == "sms"
    assert listed[1]["subject"] == ""
    assert all(
        message.keys() == {"to", "channel", "subject", "body", "sent_at"} for message in listed
    )
    assert listed[0]["sent_at"].endswith("Z")
    assert datetime.fromisoformat(listed[0]["sent_at"]) > datetime.fromisoformat(
        listed[1]["sent_at"]
    )


@pytest.mark.parametrize("accept", [None, "*/*", "text/html,application/xhtml+xml,*/*;q=0.8"])
def test_page_is_html_for_a_browser(client, debug, provider, accept):
    provider.send(make_sms("Habari <b>Asha</b> http://127.0.0.1:8000/x"))
    provider.send(make_email(html="<p>Habari</p>"))

    response = client.get(URL, headers={"accept": accept} if accept else {})

    page = response.content.decode()
    assert response["Content-Type"].startswith("text/html")
    assert "2 messages" in page
    assert "+255712345678" in page
    assert "Risiti" in page
    assert "Habari &lt;b&gt;Asha&lt;/b&gt;" in page
    assert 'href="http://127.0.0.1:8000/x"' in page
    # The HTML part cannot run scripts or reach the page around it.
    assert 'sandbox srcdoc="&lt;p&gt;Habari&lt;/p&gt;"' in page
    assert "no-store" in response["Cache-Control"]


def test_page_shows_what_clock_it_means_and_a_mail_as_it_was_laid_out(
    client, debug, provider, settings
):
    provider.send(make_email(text="Kiasi    TZS 5,000\nTarehe   25/11/2026"))

    settings.TIME_ZONE = "Africa/Dar_es_Salaam"
    page = client.get(URL).content.decode()

    assert re.search(r">[0-9-]{10} [0-9:]{8} EAT</time>", page)
    assert '<pre class="body">Kiasi    TZS 5,000\nTarehe   25/11/2026</pre>' in page


def test_page_names_utc(client, debug, provider):
    provider.send(make_sms())

    assert re.search(r">[0-9-]{10} [0-9:]{8} UTC</time>", client.get(URL).content.decode())


def test_page_links_to_nothing_that_is_not_there(client, debug):
    assert "<a " not in client.get(URL).content.decode()


def test_empty_mailbox_says_so(client, debug):
    assert "No message yet" in client.get(URL).content.decode()
    assert client.get(URL, headers={"accept": "application/json"}).json() == []


def test_page_does_not_exist_without_debug(client, provider):
    provider.send(make_sms())

    for accept in ("application/json", "text/html"):
        assert client.get(URL, headers={"accept": accept}).status_code == 404


def test_page_only_reads(client, debug):
    assert client.post(URL).status_code == 405


def test_page_shows_nothing_of_providers_that_are_no_mailbox(client, debug, sms_company):
    assert client.get(URL).status_code == 200
