"""What Azure tells by Event Grid: who may tell it, and what it means for a message."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ntc_core.webhooks.types import PayloadUnreadable, SignatureInvalid, WebhookRequest
from ntc_notify.providers.email_azure import AzureEmailProvider
from ntc_notify.providers.sms_azure import AzureSmsProvider
from ntc_notify.types import MessageState, Receipt, SuppressionReason

from tests.odd_json import odd_versions

SECRET = "kX9-tQ2m"
RESOURCE = (
    "/subscriptions/50ad1522-5c2c-4d9a-a6c8-67c11ecb75b8/resourceGroups/faraja/providers"
    "/Microsoft.Communication/communicationServices/faraja"
)
UID = UUID("7b0e2b5c-9f0d-5c39-8f14-5a5a6a3f4f10")
AT = datetime(2026, 11, 20, 8, 0, 1, 285574, tzinfo=UTC)
TOLD_AT = "2026-11-20T08:00:01.2855749+00:00"
ASHA, PHONE = "asha@example.com", "+255712345678"
ENDPOINT = "https://x.communication.azure.com"

EMAIL = "Microsoft.Communication.EmailDeliveryReportReceived"
ENGAGEMENT = "Microsoft.Communication.EmailEngagementTrackingReportReceived"
SMS = "Microsoft.Communication.SMSDeliveryReportReceived"
HANDSHAKE = "Microsoft.EventGrid.SubscriptionValidationEvent"


def make_provider(**options) -> AzureEmailProvider:
    defaults = {"endpoint": ENDPOINT, "access_key": "eA==", "webhook_secret": SECRET}
    return AzureEmailProvider(**defaults | options)


def make_event(kind: str, number: int = 1, **data) -> dict:
    return {
        "id": f"00000000-0000-0000-0000-{number:012}",
        "topic": RESOURCE,
        "subject": "sender/x/message/y",
        "data": data,
        "eventType": kind,
        "dataVersion": "1.0",
        "metadataVersion": "1",
        "eventTime": TOLD_AT,
    }


def email_event(status: str = "Delivered", number: int = 1, **values) -> dict:
    data = {
        "sender": "salamu@farajayangu.example",
        "recipient": ASHA,
        "messageId": str(UID),
        "status": status,
        "deliveryAttemptTimeStamp": TOLD_AT,
    }
    return make_event(EMAIL, number, **data | values)


def sms_event(status: str = "Delivered", **values) -> dict:
    attempt = {"timestamp": TOLD_AT, "segmentsSucceeded": 2, "segmentsFailed": 0}
    data = {
        "messageId": "Outgoing_20261120_noam",
        "from": "FARAJA",
        "to": PHONE,
        "deliveryStatus": status,
        "deliveryAttempts": [attempt],
        "receivedTimestamp": TOLD_AT,
        "tag": str(UID),
    }
    return make_event(SMS, **data | values)


def post(events: object, *, path: str = f"azure-{SECRET}", **values) -> WebhookRequest:
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    return WebhookRequest(
        **{
            "method": "POST",
            "path": f"/api/v1/webhooks/notify/{path}/",
            "headers": {"aeg-event-type": "Notification"},
            "query": {},
            "body": body,
            "received_at": datetime.now(UTC),
        }
        | values
    )


def test_handshake_is_answered_in_place():
    """200 with the code; the address beside it is never called."""
    data = {
        "validationCode": "512d38b6",
        "validationUrl": "https://rp-eastus2.eventgrid.azure.net/x",
    }
    event = make_event(HANDSHAKE, **data)

    opened = make_provider().open_webhook(post([event]))

    assert opened.ack.status == 200
    assert json.loads(opened.ack.body) == {"validationResponse": "512d38b6"}
    assert opened.ack.content_type == "application/json"
    assert make_provider().read_receipts(json.dumps([event]).encode()) == []


@pytest.mark.parametrize("data", [{}, {"validationCode": None}, {"validationCode": ["x"]}])
def test_handshake_without_a_code_is_unreadable(data):
    with pytest.raises(PayloadUnreadable):
        make_provider().open_webhook(post([make_event(HANDSHAKE, **data)]))


def ask(origin: str | None, **values) -> WebhookRequest:
    headers = {} if origin is None else {"webhook-request-origin": origin}
    return post(b"", method="OPTIONS", headers=headers, **values)


def test_who_asks_whether_they_may_post_is_agreed_to():
    assert make_provider().agree_to_deliveries(ask("eventgrid.azure.net")) == "eventgrid.azure.net"


@pytest.mark.parametrize("path", ["azure", "azure-", "azure-wrong", "azure-ä"])
def test_who_asks_without_the_secret_is_refused(path):
    with pytest.raises(SignatureInvalid):
        make_provider().agree_to_deliveries(ask("eventgrid.azure.net", path=path))


@pytest.mark.parametrize(
    "origin", [None, "", "*", "a b", "https://eventgrid.azure.net", "x\r\nSet-Cookie: a=b", "é.net"]
)
def test_who_asks_without_a_name_is_not_agreed_to(origin):
    """What comes back in a header is a name and nothing else."""
    with pytest.raises(PayloadUnreadable):
        make_provider().agree_to_deliveries(ask(origin))


@pytest.mark.parametrize("path", ["azure", "azure-", "azure-wrong", f"azure-{SECRET}x", "azure-ä"])
def test_who_does_not_know_the_secret_is_refused(path):
    with pytest.raises(SignatureInvalid):
        make_provider().open_webhook(post([email_event()], path=path))


@pytest.mark.parametrize("path", ["azure", "azure-"])
def test_without_a_secret_nobody_is_believed(path):
    provider = make_provider(webhook_secret="")

    assert not provider.capabilities.sends_receipts
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post([email_event()], path=path))


def test_resource_that_is_not_on_the_list_is_refused():
    """One strange event spoils its batch: Azure never mixes resources."""
    provider = make_provider(event_resources=RESOURCE.upper())
    stranger = email_event(number=2) | {"topic": RESOURCE.replace("faraja", "other")}

    opened = provider.open_webhook(post([email_event()]))
    with pytest.raises(SignatureInvalid):
        provider.open_webhook(post([email_event(), stranger]))

    assert opened.event_type == EMAIL.lower()


def test_batch_is_known_again_in_any_order():
    provider = make_provider()
    one, two = email_event(number=1), email_event(number=2)

    first = provider.open_webhook(post([one, two]))
    again = provider.open_webhook(post([two, one]))
    single = provider.open_webhook(post([one]))

    assert first.dedupe_key == again.dedupe_key
    assert single.dedupe_key == one["id"]
    assert first.dedupe_key != single.dedupe_key


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b"[1]", b'"x"', b"[" * 100_000, b'[{"eventType": "x"}]']
)
def test_body_without_events_is_unreadable(body):
    with pytest.raises(PayloadUnreadable):
        make_provider().open_webhook(post(body))


def read(*events: dict) -> list[Receipt]:
    body = json.dumps(events).encode()
    sms = AzureSmsProvider(endpoint=ENDPOINT, access_key="eA==", sender="FARAJA")
    told = make_provider().read_receipts(body)
    # Both channels are told at one address, so each provider reads both.
    assert told == sms.read_receipts(body) == make_provider().read_receipts(body)
    return told


def receipt(state: MessageState, **values) -> Receipt:
    known = {"provider_ref": str(UID), "provider_uid": UID, "address": ASHA, "at": AT}
    return Receipt(state=state, **known | values)


DETAILS = {"statusMessage": "550 5.1.1 <asha@example.com> unknown"}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (email_event("Delivered"), receipt(MessageState.DELIVERED)),
        (email_event("delivered"), receipt(MessageState.DELIVERED)),
        (email_event("Expanded"), receipt(MessageState.ACCEPTED)),
        (email_event("OutForDelivery"), receipt(MessageState.ACCEPTED)),
        (
            email_event("Bounced", deliveryStatusDetails=DETAILS),
            receipt(
                MessageState.FAILED,
                reason="Bounced 550 5.1.1 <a***@e***> unknown",
                suppression=SuppressionReason.HARD_BOUNCE,
            ),
        ),
        (
            email_event("Suppressed"),
            receipt(
                MessageState.FAILED,
                reason="Suppressed",
                suppression=SuppressionReason.HARD_BOUNCE,
            ),
        ),
        (email_event("Failed"), receipt(MessageState.FAILED, reason="Failed")),
        (email_event("Quarantined"), receipt(MessageState.FAILED, reason="Quarantined")),
        (email_event("NeverHeardOf"), receipt(MessageState.FAILED, reason="NeverHeardOf")),
        (email_event(None), receipt(MessageState.FAILED)),
        (
            email_event(deliveryAttemptTimestamp=TOLD_AT, deliveryAttemptTimeStamp=TOLD_AT),
            receipt(MessageState.DELIVERED),
        ),
        (email_event(deliveryAttemptTimeStamp="soon"), receipt(MessageState.DELIVERED, at=None)),
        (
            make_event(
                ENGAGEMENT,
                recipient=ASHA,
                messageId=str(UID),
                engagementType="view",
                userActionTimestamp=TOLD_AT,
            ),
            receipt(MessageState.OPENED),
        ),
        (
            make_event(ENGAGEMENT, messageId=str(UID), engagementType="Click"),
            receipt(MessageState.CLICKED, address=None, at=None),
        ),
        (
            sms_event(),
            receipt(
                MessageState.DELIVERED,
                provider_ref="Outgoing_20261120_noam",
                address=PHONE,
                segments=2,
            ),
        ),
        (
            sms_event(
                "Failed",
                deliveryStatusDetails="No route to +255712345678.",
                deliveryAttempts=[
                    {"segmentsSucceeded": 0, "segmentsFailed": 3},
                    {"segmentsSucceeded": 1, "segmentsFailed": 2},
                ],
            ),
            receipt(
                MessageState.FAILED,
                provider_ref="Outgoing_20261120_noam",
                address=PHONE,
                reason="Failed No route to +2557****678.",
                segments=3,
            ),
        ),
        (
            sms_event("Lost", deliveryAttempts=[], tag=""),
            receipt(
                MessageState.FAILED,
                provider_ref="Outgoing_20261120_noam",
                provider_uid=None,
                address=PHONE,
                reason="Lost",
            ),
        ),
    ],
)
def test_event_is_understood(event, expected):
    assert read(event) == [expected]


EVENTS = [
    email_event("Bounced", deliveryStatusDetails=DETAILS),
    sms_event("Failed", deliveryStatusDetails="No route."),
    make_event(ENGAGEMENT, messageId=str(UID), engagementType="view", userActionTimestamp=TOLD_AT),
]


def test_names_of_fields_are_read_in_any_case():
    """The article and the SDKs spell them apart."""
    event = sms_event()
    data = {name[0].upper() + name[1:]: value for name, value in event.pop("data").items()}
    loud = {name.upper(): value for name, value in event.items()} | {"DATA": data}

    assert read(loud) == read(sms_event())


def test_cloud_event_is_read_too():
    event = email_event()
    cloud = {"id": event["id"], "source": RESOURCE, "type": EMAIL, "data": event["data"]}

    assert read(cloud) == [receipt(MessageState.DELIVERED)]


def test_odd_event_does_not_keep_its_batch_from_being_read(caplog):
    odd = make_event(EMAIL, recipient=ASHA, status="Delivered")

    told = read(odd, make_event(SMS) | {"data": None}, email_event(), make_event("Other", x=1))

    assert told == [receipt(MessageState.DELIVERED)]
    assert "notify.event_unreadable" in caplog.text
    assert ASHA not in caplog.text


@given(data=st.data())
def test_no_event_however_odd_breaks_the_reader(data):
    """Its batch is read all the same."""
    event = data.draw(st.sampled_from(EVENTS))
    odd = event | {"data": data.draw(odd_versions(event["data"]))}

    told = read(odd, email_event())

    assert told[-1] == receipt(MessageState.DELIVERED)
    assert all(one.at is None or one.at.tzinfo is not None for one in told)
