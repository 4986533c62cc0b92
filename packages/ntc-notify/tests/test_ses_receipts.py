"""What SES tells over SNS: who may tell it, and what it means for a message."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.errors import Unavailable
from ntc_core.http import HttpFailure, NoAnswer, NotSent
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid
from ntc_notify.providers.email_ses import SesProvider
from ntc_notify.providers.sns_messages import _fetch_over_http
from ntc_notify.testing import HttpReply
from ntc_notify.types import MessageState, Receipt, SuppressionReason

from tests.http_peer import run_peer
from tests.odd_json import odd_versions
from tests.smtp_server import make_certificate
from tests.sns_peer import (
    CERTIFICATE_URL,
    TOPIC,
    Signer,
    fetch_from,
    make_confirmation,
    make_notification,
    post,
    serve,
)

UID = UUID("7b0e2b5c-9f0d-5c39-8f14-5a5a6a3f4f10")
MESSAGE_ID = "0102018f-7c1d-4b6e-9d1a-000000000000-000000"
AT = datetime(2026, 11, 20, 8, 0, 1, 250000, tzinfo=UTC)
TOLD_AT = "2026-11-20T08:00:01.250Z"
ASHA = "asha@example.com"


@pytest.fixture(scope="module")
def signer(tmp_path_factory) -> Signer:
    return Signer(tmp_path_factory.mktemp("sns"))


@pytest.fixture
def amazon(signer):
    """The host that keeps the certificate."""
    with run_peer(serve(signer)) as peer:
        yield peer


@pytest.fixture
def provider(amazon) -> SesProvider:
    return SesProvider(region="eu-west-1", topic_arns=[TOPIC], fetch_certificate=fetch_from(amazon))


def make_event(kind: str = "Delivery", key: str = "eventType", **parts) -> dict:
    mail = {
        "timestamp": "2026-11-20T08:00:00.000Z",
        "messageId": MESSAGE_ID,
        "destination": [ASHA],
        "tags": {"ntc_uid": [str(UID)], "ses:configuration-set": ["faraja"]},
    }
    return {key: kind, "mail": mail} | parts


DELIVERY = make_event(delivery={"timestamp": TOLD_AT, "recipients": [ASHA]})


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES Email Event Notification"}])
def test_signed_message_of_our_topic_is_opened(provider, signer, version, subject):
    message = make_notification(DELIVERY, **subject)

    opened = provider.open_webhook(post(signer.sign(message, version=version)))

    assert opened.dedupe_key == message["MessageId"]
    assert opened.event_type == "Delivery"
    assert (opened.ack.status, opened.ack.body) == (200, b"")
    assert provider.capabilities.sends_receipts


@pytest.mark.parametrize(
    "field", ["Message", "MessageId", "Timestamp", "Subject", "Signature", "Type"]
)
def test_message_that_was_changed_on_its_way_is_refused(provider, signer, field):
    message = signer.sign(make_notification(DELIVERY, Subject="Event"))
    other = {
        "Signature": base64.b64encode(b"x" * 256).decode(),
        "Type": "SubscriptionConfirmation",
    }
    message[field] = other.get(field, "changed")

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post(message))


def test_subject_that_was_added_is_refused(provider, signer):
    message = signer.sign(make_notification(DELIVERY)) | {"Subject": "added"}

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post(message))


def test_signature_of_another_key_is_refused(provider, tmp_path):
    stranger = Signer(tmp_path)

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post(stranger.sign(make_notification(DELIVERY))))


def test_signature_of_one_version_is_no_signature_of_the_other(provider, signer):
    message = signer.sign(make_notification(DELIVERY), version="1") | {"SignatureVersion": "2"}

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post(message))


@pytest.mark.parametrize(
    "topic",
    [
        "arn:aws:sns:eu-west-1:999999999999:ses-events",
        f"{TOPIC}x",
        TOPIC.upper(),
    ],
)
def test_topic_that_is_not_ours_is_refused_before_anything_is_fetched(
    provider, amazon, signer, topic
):
    """Everybody can have Amazon sign messages of their own topic."""
    with pytest.raises(SignatureInvalid, match="not one of ours"):
        provider.open_webhook(post(signer.sign(make_notification(DELIVERY, TopicArn=topic))))

    assert amazon.requests == []


@pytest.mark.parametrize(
    "address",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com.example/SimpleNotificationService-01.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-01.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-01.pem",
        "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-01.pem",
        "https://evil.example/https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.eu-west-1.amazonaws.com/bucket/SimpleNotificationService-01.pem",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem?x=1",
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem\n",
        "https://sns.eu-west-1.amazonaws.com.cn/SimpleNotificationService-01.pem",
        "https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-01.pem",
        "file:///etc/passwd",
        "",
    ],
)
def test_certificate_is_fetched_only_where_amazon_keeps_its_own(provider, amazon, signer, address):
    message = signer.sign(make_notification(DELIVERY, SigningCertURL=address))

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post(message))

    assert amazon.requests == []


def test_certificate_is_fetched_once(provider, amazon, signer):
    for _ in range(3):
        provider.open_webhook(post(signer.sign(make_notification(DELIVERY))))

    assert len(amazon.requests) == 1


def test_certificate_that_proved_nothing_is_not_kept(provider, amazon, tmp_path):
    stranger = Signer(tmp_path)
    for _ in range(2):
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(post(stranger.sign(make_notification(DELIVERY))))

    assert len(amazon.requests) == 2


def test_made_up_addresses_cost_us_only_so_many_calls(amazon, signer):
    """Who knows the topic could else have us call Amazon as often as they like."""
    provider = SesProvider(
        region="eu-west-1", topic_arns=[TOPIC], fetch_certificate=lambda _: b"no certificate"
    )
    for number in range(10):
        address = CERTIFICATE_URL.replace("0123456789abcdef", f"{number:016x}")
        with pytest.raises(SignatureInvalid):
            provider.open_webhook(
                post(make_notification(DELIVERY, SigningCertURL=address) | SIGNED)
            )

    with pytest.raises(Unavailable):
        provider.open_webhook(post(make_notification(DELIVERY) | SIGNED))


SIGNED = {"SignatureVersion": "2", "Signature": "eA=="}


def test_certificate_that_cannot_be_fetched_now_is_no_verdict(signer):
    """503: Amazon sends the message again, as it would not after a 401."""

    def fail(_: str) -> bytes:
        raise NoAnswer("too late")

    provider = SesProvider(region="eu-west-1", topic_arns=[TOPIC], fetch_certificate=fail)

    with pytest.raises(Unavailable):
        provider.open_webhook(post(signer.sign(make_notification(DELIVERY))))


def test_certificate_is_fetched_as_it_is(signer, amazon):
    """By the way that is used where no test stands in it."""
    assert (
        _fetch_over_http(f"{amazon.base_url}{urlsplit(CERTIFICATE_URL).path}") == signer.certificate
    )


@pytest.mark.parametrize(
    "answer", [HttpReply(status=404), HttpReply(body=b"x" * 20_000), HttpReply(breaks="closed")]
)
def test_certificate_that_is_none_is_not_read(amazon, answer):
    amazon.next.append(answer)

    with pytest.raises(HttpFailure):
        _fetch_over_http(f"{amazon.base_url}/x.pem")


def test_host_that_cannot_prove_itself_is_not_asked_for_a_certificate(tmp_path):
    """Everything rests on the certificate having come from Amazon."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()

        with pytest.raises(NotSent):
            _fetch_over_http(f"https://127.0.0.1:{port}/x.pem")


def _shake_hands(listener, context):
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        context.wrap_socket(connection, server_side=True).close()


def test_message_that_is_no_event_is_kept_under_its_own_type(provider, signer):
    opened = provider.open_webhook(post(signer.sign(make_notification("Successfully validated"))))

    assert opened.event_type == "Notification"


def test_certificate_of_another_time_is_refused(provider, signer):
    message = signer.sign(make_notification(DELIVERY))
    later = datetime.now(UTC) + timedelta(days=400)

    with pytest.raises(SignatureInvalid, match="not valid at this time"):
        provider.open_webhook(post(message, received_at=later))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"Type": "Notification"}',
        b'{"Type": ["Notification"]}',
        b"[" * 100_000,
        json.dumps(make_notification(DELIVERY) | SIGNED | {"Message": {"a": 1}}).encode(),
        json.dumps(make_notification(DELIVERY) | SIGNED | {"SignatureVersion": "3"}).encode(),
        json.dumps(make_notification(DELIVERY) | SIGNED | {"Signature": "?"}).encode(),
        json.dumps(make_notification("\ud800") | SIGNED).encode(),
    ],
)
def test_body_that_is_no_signed_message_is_refused(provider, body):
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post(body))


def test_subscription_of_our_topic_is_kept_and_confirmed_by_nobody(provider, amazon, signer):
    """A person confirms it; the address in the message is not called."""
    message = signer.sign(make_confirmation())

    opened = provider.open_webhook(post(message))

    assert opened.event_type == "SubscriptionConfirmation"
    assert provider.read_receipts(json.dumps(message).encode()) == []
    assert [call.target for call in amazon.requests] == [
        "/SimpleNotificationService-0123456789abcdef.pem"
    ]


def test_subscription_of_a_stranger_is_refused(provider, amazon, signer):
    message = make_confirmation(TopicArn="arn:aws:sns:eu-west-1:999999999999:theirs")

    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post(signer.sign(message)))

    assert amazon.requests == []


def test_without_a_topic_nothing_is_believed(signer):
    provider = SesProvider(region="eu-west-1")

    assert not provider.capabilities.sends_receipts
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post(signer.sign(make_notification(DELIVERY))))


def read(event) -> list[Receipt]:
    body = json.dumps(make_notification(event) | SIGNED).encode()
    provider = SesProvider(region="eu-west-1", topic_arns=TOPIC)
    first, second = provider.read_receipts(body), provider.read_receipts(body)
    assert first == second
    return first


def receipt(state: MessageState, **values) -> Receipt:
    known = {"provider_ref": MESSAGE_ID, "provider_uid": UID, "address": ASHA, "at": AT}
    return Receipt(state=state, **known | values)


DIAGNOSIS = "smtp; 550 5.1.1 <asha@example.com>: Recipient address rejected"


def bounce(kind: str, subtype: str) -> dict:
    recipient = {"emailAddress": ASHA, "status": "5.1.1", "diagnosticCode": DIAGNOSIS}
    return make_event(
        "Bounce",
        bounce={
            "bounceType": kind,
            "bounceSubType": subtype,
            "timestamp": TOLD_AT,
            "bouncedRecipients": [recipient],
        },
    )


def complaint(**values) -> dict:
    recipients = [{"emailAddress": ASHA}]
    told = {"timestamp": TOLD_AT, "complainedRecipients": recipients}
    return make_event("Complaint", complaint=told | values)


DIAGNOSED = "5.1.1 smtp; 550 5.1.1 <a***@e***>: Recipient address rejected"


UNDERSTOOD = [
    (DELIVERY, receipt(MessageState.DELIVERED)),
    (
        bounce("Permanent", "General"),
        receipt(
            MessageState.FAILED,
            reason=f"Permanent General {DIAGNOSED}",
            suppression=SuppressionReason.HARD_BOUNCE,
        ),
    ),
    (
        bounce("Transient", "MailboxFull"),
        receipt(MessageState.SOFT_BOUNCED, reason=f"Transient MailboxFull {DIAGNOSED}"),
    ),
    (
        bounce("Undetermined", "Undetermined"),
        receipt(MessageState.SOFT_BOUNCED, reason=f"Undetermined Undetermined {DIAGNOSED}"),
    ),
    (
        complaint(complaintFeedbackType="abuse"),
        receipt(
            MessageState.DELIVERED,
            reason="Complaint abuse",
            suppression=SuppressionReason.COMPLAINT,
        ),
    ),
    (
        complaint(complaintFeedbackType="not-spam"),
        receipt(MessageState.DELIVERED, reason="Complaint not-spam"),
    ),
    (
        complaint(complaintSubType="OnAccountSuppressionList"),
        receipt(
            MessageState.FAILED,
            reason="Complaint OnAccountSuppressionList",
            suppression=SuppressionReason.COMPLAINT,
        ),
    ),
    (
        make_event(
            "DeliveryDelay",
            deliveryDelay={
                "timestamp": TOLD_AT,
                "delayType": "MailboxFull",
                "delayedRecipients": [{"emailAddress": ASHA, "diagnosticCode": "smtp; 421"}],
            },
        ),
        receipt(MessageState.DEFERRED, reason="MailboxFull smtp; 421"),
    ),
    (
        make_event("Reject", reject={"reason": "Bad content"}),
        receipt(MessageState.FAILED, reason="Rejected Bad content", at=None),
    ),
    (
        make_event("Rendering Failure", failure={"errorMessage": "no such name"}),
        receipt(MessageState.FAILED, reason="Rendering failed no such name", at=None),
    ),
    (
        make_event("Send", send={}),
        receipt(MessageState.ACCEPTED, at=datetime(2026, 11, 20, 8, tzinfo=UTC)),
    ),
    (make_event("Open", open={"timestamp": TOLD_AT}), receipt(MessageState.OPENED)),
    # A time without a zone is UTC, as all of Amazon's.
    (make_event("Open", open={"timestamp": TOLD_AT[:-1]}), receipt(MessageState.OPENED)),
    (make_event("Click", click={"timestamp": TOLD_AT}), receipt(MessageState.CLICKED)),
    (
        make_event(
            "Subscription",
            subscription={
                "timestamp": TOLD_AT,
                "newTopicPreferences": {"unsubscribeAll": True},
            },
        ),
        receipt(MessageState.DELIVERED, suppression=SuppressionReason.UNSUBSCRIBED),
    ),
]
EVENTS = [event for event, _ in UNDERSTOOD]


@pytest.mark.parametrize(("event", "expected"), UNDERSTOOD)
def test_event_is_understood(event, expected):
    assert read(event) == [expected]


def test_notification_of_an_identity_is_read_too():
    """The older kind has another name for its type, and no tags."""
    event = DELIVERY | {"notificationType": "Delivery"}
    del event["eventType"]
    event["mail"] = {**event["mail"], "tags": None}

    (told,) = read(event)

    assert told == receipt(MessageState.DELIVERED, provider_uid=None)


def test_every_recipient_has_a_receipt_of_its_own():
    other = "juma@example.com"
    event = make_event(delivery={"timestamp": TOLD_AT, "recipients": [ASHA, f"Juma <{other}>"]})

    assert [told.address for told in read(event)] == [ASHA, other]


@pytest.mark.parametrize("tag", [None, "somebody-elses", ""])
def test_mail_of_somebody_else_has_no_id_of_ours(tag):
    event = make_event(delivery={"timestamp": TOLD_AT, "recipients": [ASHA]})
    event["mail"] = {**event["mail"], "tags": {"ntc_uid": [] if tag is None else [tag]}}

    assert read(event)[0].provider_uid is None


def test_event_that_we_do_not_know_says_nothing():
    assert read(make_event("Forwarded")) == []


@pytest.mark.parametrize(
    "event",
    [
        "not json",
        "[]",
        make_event("Bounce"),
        make_event("Bounce", bounce={"bouncedRecipients": [{}]}),
        make_event("Delivery", delivery={"recipients": [ASHA], "timestamp": "yesterday"}),
        {"eventType": "Delivery", "delivery": {"recipients": [ASHA]}},
    ],
)
def test_event_of_another_shape_is_told_as_such(event):
    with pytest.raises(PayloadUnreadable):
        read(event)


def test_body_that_is_no_message_is_told_as_such():
    with pytest.raises(PayloadUnreadable):
        SesProvider(region="eu-west-1").read_receipts(b"hello")


@given(data=st.data())
def test_no_event_however_odd_breaks_the_reader(data):
    """It is read, or told as unreadable; a time is one with a zone."""
    event = data.draw(st.sampled_from(EVENTS).flatmap(odd_versions))

    with suppress(PayloadUnreadable):
        for told in read(event):
            assert told.at is None or told.at.tzinfo is not None
