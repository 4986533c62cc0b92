"""Emails as bytes: what is built is read back by the standard library's parser."""

from __future__ import annotations

from contextlib import suppress
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_notify.providers.mime import bare_address, build_email
from ntc_notify.types import Attachment, OutgoingEmail

UID = UUID("7b0e2b5c-9f0d-5c39-8f14-5a5a6a3f4f10")


def make_email(**values) -> OutgoingEmail:
    return OutgoingEmail(
        **{
            "provider_uid": UID,
            "to": "asha@example.com",
            "sender": "Faraja Yangu <no-reply@farajayangu.example>",
            "subject": "Risiti",
            "text": "Habari",
        }
        | values
    )


def read_back(message: OutgoingEmail) -> EmailMessage:
    parsed = message_from_bytes(build_email(message).as_bytes(), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


SECOND_HEADER = "=?utf-8?q?x=0d=0aBcc=3A_thief=40example.com=0d=0a=0d=0aSend_me_your_PIN?="


@pytest.mark.parametrize(
    "values",
    [
        {"subject": SECOND_HEADER},
        {"subject": "=?utf-8?b?eApCY2M6IHRoaWVmQGV4YW1wbGUuY29t?="},
        {"sender": f"{SECOND_HEADER} <no-reply@farajayangu.example>"},
        {"reply_to": (f"{SECOND_HEADER} <asha@example.com>",)},
        {"headers": {"X-Order": SECOND_HEADER}},
        {"headers": {"X-Order": f"{SECOND_HEADER} {'x' * 90}"}},
        {
            "attachments": (
                Attachment(filename=SECOND_HEADER, content_type="text/csv", content=b""),
            )
        },
    ],
    ids=lambda values: next(iter(values)),
)
def test_header_that_is_hidden_in_an_encoded_word_is_not_written(values):
    """The library decodes it; old versions write down two lines, new ones one, encoded."""
    written = b""
    with suppress(ValueError, MessageError):
        written = build_email(make_email(**values)).as_bytes()

    assert b"\nBcc" not in written
    assert b"\nSend me" not in written


def test_encoded_word_that_hides_nothing_is_read_as_it_was_meant():
    assert read_back(make_email(subject="=?utf-8?q?Habari_=C3=A9?="))["Subject"] == "Habari é"


def read_parts(email: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in email.walk()]


def test_text_html_and_files_are_parts_of_one_message():
    """A reader finds the text, the HTML beside it, and the files after both."""
    files = (
        Attachment(filename="risiti.pdf", content_type="application/pdf", content=b"%PDF-1.7 \xff"),
        Attachment(filename="orodha \u2013 Juni.csv", content_type="text/csv", content=b"a;b\r\n"),
    )

    email = read_back(make_email(html="<p>Habari</p>", attachments=files))

    assert read_parts(email) == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/pdf",
        "text/csv",
    ]
    pdf, csv = email.iter_attachments()
    assert (pdf.get_filename(), pdf.get_content()) == ("risiti.pdf", b"%PDF-1.7 \xff")
    assert csv.get_filename() == "orodha \u2013 Juni.csv"
    assert csv.get_payload(decode=True) == b"a;b\r\n"


def test_files_without_html_stand_beside_the_text():
    file = Attachment(filename="a.bin", content_type="application/octet-stream", content=bytes(256))

    email = read_back(make_email(attachments=(file,)))

    assert read_parts(email) == ["multipart/mixed", "text/plain", "application/octet-stream"]


def test_answers_go_where_reply_to_says():
    email = read_back(
        make_email(reply_to=("Msaada <msaada@farajayangu.example>", "ofisi@farajayangu.example"))
    )

    assert [address.addr_spec for address in email["Reply-To"].addresses] == [
        "msaada@farajayangu.example",
        "ofisi@farajayangu.example",
    ]


def test_long_unsubscribe_address_stays_readable():
    """The standard library would encode what fits into no line; mail programs would not see it."""
    links = f"<https://farajayangu.example/u/{'a' * 300}>, <mailto:acha@farajayangu.example>"
    headers = {
        "List-Unsubscribe": links,
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }

    raw = build_email(make_email(headers=headers)).as_bytes()

    unfolded = raw.replace(b"\r\n ", b" ")
    assert f"\r\nList-Unsubscribe: {links}\r\n".encode() in unfolded
    assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in unfolded
    assert max(len(line) for line in raw.split(b"\r\n")) < 998


def test_message_id_of_a_long_domain_stays_readable():
    domain = f"{'mail.' * 12}farajayangu.example"

    raw = build_email(make_email(sender=f"no-reply@{domain}")).as_bytes()

    assert f"Message-ID: <{UID}@{domain}>\r\n".encode() in raw


@pytest.mark.parametrize(
    "name", ["Bcc", "from", "Reply-To", "Content-Type", "MIME-Version", "X Y", "X:Y", "", "Mädchen"]
)
def test_header_that_is_not_the_callers_is_refused(name):
    with pytest.raises(ValueError, match=r"OutgoingEmail\.headers"):
        build_email(make_email(headers={name: "value"}))


@pytest.mark.parametrize("break_", ["\r\n", "\n", "\r", "\x00", "\x85", "\u2028"])
@pytest.mark.parametrize(
    "make",
    [
        lambda bad: {"headers": {"X-Kind": bad}},
        lambda bad: {"headers": {bad: "value"}},
        lambda bad: {"reply_to": (bad,)},
    ],
)
def test_line_break_cannot_write_a_header(break_, make):
    with pytest.raises(ValueError, match="one line"):
        make_email(**make(f"a@example.com{break_}Bcc: b@example.com"))


@pytest.mark.parametrize("filename", ["", "../risiti.pdf", "a\\b.pdf", "a\r\nX: y", "a\x00.pdf"])
def test_file_name_that_leaves_its_folder_or_line_is_refused(filename):
    with pytest.raises(ValueError, match="filename"):
        Attachment(filename=filename, content_type="application/pdf", content=b"")


@pytest.mark.parametrize("content_type", ["pdf", "text/", "text/plain\r\nX: y", "a/b; c=d"])
def test_file_without_a_media_type_is_refused(content_type):
    with pytest.raises(ValueError, match="media type"):
        Attachment(filename="a.pdf", content_type=content_type, content=b"")


def test_content_of_a_file_does_not_show_in_a_repr():
    file = Attachment(filename="a.txt", content_type="text/plain", content=b"481516")

    assert "481516" not in repr(file)


@given(
    subject=st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=200),
    name=st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=60),
)
def test_any_subject_and_name_arrive_as_they_are(subject, name):
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    message = make_email(
        subject=subject.strip(), sender=f'"{escaped}" <no-reply@farajayangu.example>'
    )

    raw = build_email(message).as_bytes()
    email = message_from_bytes(raw, policy=policy.default)

    assert raw.isascii()
    assert " ".join(email["Subject"].split()) == " ".join(subject.split())
    (address,) = email["From"].addresses
    assert address.addr_spec == "no-reply@farajayangu.example"


@pytest.mark.parametrize("address", ["", "asha", "@example.com", "ásha@example.com"])
def test_address_that_no_server_takes_is_refused(address):
    with pytest.raises(ValueError, match="ASCII before the @"):
        bare_address(address)


def test_domain_of_another_script_travels_in_ascii():
    assert bare_address("Asha <asha@bücher.example>") == "asha@xn--bcher-kva.example"
