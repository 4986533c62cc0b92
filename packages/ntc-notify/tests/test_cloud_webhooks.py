"""The whole road of a cloud's receipt: sent, told about over HTTP, applied to its message."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command
from ntc_core import rate_limits
from ntc_core.outbox.services import run_due_jobs
from ntc_core.webhooks.models import WebhookEvent
from ntc_notify.models import Message, MessageReceipt, Suppression
from ntc_notify.services import send
from ntc_notify.testing import HttpReply
from ntc_notify.types import MessageState, Recipient

from tests import aws_peer
from tests.acs_peer import ACCESS_KEY, FROM, Acs
from tests.http_peer import run_peer
from tests.people import FACTS, run_now
from tests.sns_peer import TOPIC, Signer, fetch_from, make_confirmation, make_notification, serve

pytestmark = pytest.mark.django_db

SECRET = "kX9tQ2mWb71ZrT40"
ASHA = "asha@example.com"
URL = "/api/v1/webhooks/notify/{}/"


@pytest.fixture(scope="module")
def signer(tmp_path_factory) -> Signer:
    return Signer(tmp_path_factory.mktemp("sns"))


@pytest.fixture
def ses(settings, signer):
    """SES as the email provider, and the host of its certificate."""
    with run_peer(aws_peer.answer_ses) as peer, run_peer(serve(signer)) as amazon:
        settings.NTC_EMAIL_PROVIDERS = {
            "ses": {
                "region": aws_peer.REGION,
                "access_key_id": aws_peer.ACCESS_KEY_ID,
                "secret_access_key": aws_peer.SECRET_ACCESS_KEY,
                "endpoint_url": peer.base_url,
                "configuration_set": "faraja",
                "topic_arns": TOPIC,
                "fetch_certificate": fetch_from(amazon),
            }
        }
        # A setting, so that SES is not asked: the tests count what it was sent.
        settings.NTC_NOTIFY_CALLS_PER_SECOND = {"ses": 1000}
        yield peer


@pytest.fixture
def acs(settings):
    company = Acs()
    with run_peer(company.answer) as peer:
        options = {"endpoint": peer.base_url, "access_key": ACCESS_KEY, "webhook_secret": SECRET}
        settings.NTC_EMAIL_PROVIDERS = {"azure": options | {"sender": FROM}}
        settings.NTC_SMS_PROVIDERS = {"azure": options | {"sender": "FARAJA"}}
        settings.NTC_WEBHOOK_PATH_SECRET = SECRET
        yield company


def send_to(**address: str) -> Message:
    notification = send(
        kind="receipt", to=Recipient(**address), context=FACTS, dedupe_key=str(address)
    )
    run_now()
    message = notification.messages.get()
    assert message.state == MessageState.ACCEPTED
    return message


def post(client, name: str, content: object):
    return client.post(URL.format(name), json.dumps(content), "application/json")


def post_ses_event(client, signer: Signer, **event: object):
    body = {"mail": {"messageId": aws_peer.MESSAGE_ID, "destination": [ASHA], "tags": {}}} | event
    return post(client, "ses", signer.sign(make_notification(body)))


def test_account_s_own_rate_is_kept_to(client, ses, settings):
    """One a second, as in SES's sandbox: the second email waits."""
    settings.NTC_NOTIFY_CALLS_PER_SECOND = {}
    rate_limits.forget_local()
    ses.next.append(HttpReply.json({"SendQuota": {"MaxSendRate": 1}}))
    for number in range(2):
        send(kind="receipt", to=Recipient(email=ASHA), context=FACTS, dedupe_key=str(number))

    run_due_jobs()

    assert sorted(Message.objects.values_list("state", flat=True)) == ["accepted", "queued"]
    assert [call.method for call in ses.requests] == ["GET", "POST"]
    rate_limits.forget_local()


BOUNCE = {
    "eventType": "Bounce",
    "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": ASHA}]},
}


def test_bounce_ends_the_message_and_the_address(client, ses, signer):
    message = send_to(email=ASHA)

    response = post_ses_event(client, signer, **BOUNCE)
    run_now()

    assert response.status_code == 200
    message.refresh_from_db()
    assert message.state == MessageState.FAILED
    assert Suppression.objects.get().reason == "hard_bounce"
    again = send(kind="receipt", to=Recipient(email=ASHA), context=FACTS, dedupe_key="again")
    run_now()
    assert again.messages.get().state == MessageState.SUPPRESSED
    assert len(ses.requests) == 1


def test_event_that_comes_twice_counts_once_and_late_news_change_nothing(client, ses, signer):
    message = send_to(email=ASHA)
    delivered = {"eventType": "Delivery", "delivery": {"recipients": [ASHA]}}
    told = signer.sign(
        make_notification(
            {"mail": {"messageId": aws_peer.MESSAGE_ID, "destination": [ASHA]}} | delivered
        )
    )

    for _ in range(2):
        assert post(client, "ses", told).status_code == 200
        run_now()
    post_ses_event(client, signer, eventType="Send", send={})
    run_now()

    message.refresh_from_db()
    assert message.state == MessageState.DELIVERED
    assert MessageReceipt.objects.filter(state="delivered").count() == 1


def test_receipt_finds_its_message_by_our_id_where_the_answer_was_lost(client, ses, signer):
    """The message is held as unknown; the tag in the event is all that names it."""
    ses.next.append(HttpReply(breaks="closed"))
    message = send(
        kind="receipt", to=Recipient(email=ASHA), context=FACTS, dedupe_key="lost"
    ).messages.get()
    run_now()
    message.refresh_from_db()
    assert message.state == MessageState.UNKNOWN
    uid = str(message.attempts.get().provider_uid)

    post_ses_event(
        client,
        signer,
        mail={"messageId": "new", "destination": [ASHA], "tags": {"ntc_uid": [uid]}},
        eventType="Delivery",
        delivery={"recipients": [ASHA]},
    )
    run_now()

    message.refresh_from_db()
    assert message.state == MessageState.DELIVERED


def test_forged_event_is_refused_and_not_stored(client, ses, signer, tmp_path):
    send_to(email=ASHA)
    stranger = Signer(tmp_path)

    assert post_ses_event(client, stranger, **BOUNCE).status_code == 401
    assert not WebhookEvent.objects.exists()


def test_subscription_is_kept_for_a_person(client, ses, signer, caplog):
    message = make_confirmation()

    response = post(client, "ses", signer.sign(message))
    run_now()

    assert response.status_code == 200
    event = WebhookEvent.objects.get()
    assert (event.event_type, event.state) == ("SubscriptionConfirmation", "ignored")
    assert message["Token"] not in caplog.text


def test_person_confirms_a_subscription(client, ses, signer, settings, capsys):
    """By SNS's own interface; the address in the message is not called."""
    post(client, "ses", signer.sign(make_confirmation()))
    uid = str(WebhookEvent.objects.get().uid)

    call_command("sns_subscriptions")
    with run_peer(aws_peer.answer_sns) as sns:
        point_ses_at(settings, sns.base_url)
        call_command("sns_subscriptions", confirm=uid)

    listed, confirmed = capsys.readouterr().out.splitlines()
    assert listed.startswith(uid)
    assert listed.endswith(TOPIC)
    assert confirmed == f"Confirmed: {TOPIC}:1"
    (call,) = sns.requests
    form = aws_peer.read_form(call)
    assert (form["TopicArn"], form["AuthenticateOnUnsubscribe"]) == (TOPIC, "true")
    assert form["Token"] == make_confirmation()["Token"]


def test_offer_that_is_too_old_says_why(client, ses, signer, settings):
    post(client, "ses", signer.sign(make_confirmation(Token="old")))
    event = WebhookEvent.objects.get()

    with run_peer(aws_peer.answer_sns) as sns:
        point_ses_at(settings, sns.base_url)
        with pytest.raises(CommandError, match="InvalidParameter Invalid token"):
            call_command("sns_subscriptions", confirm=str(event.uid))


def test_event_that_offers_nothing_cannot_be_confirmed(client, ses, signer):
    post_ses_event(client, signer, **BOUNCE)
    event = WebhookEvent.objects.get()

    with pytest.raises(CommandError, match="offers a subscription"):
        call_command("sns_subscriptions", confirm=str(event.uid))


def test_subscription_of_a_provider_that_is_gone_is_told(client, ses, signer, settings):
    post(client, "ses", signer.sign(make_confirmation()))
    settings.NTC_EMAIL_PROVIDERS = {}

    with pytest.raises(CommandError, match="not configured"):
        call_command("sns_subscriptions")


def point_ses_at(settings, url: str) -> None:
    options = settings.NTC_EMAIL_PROVIDERS["ses"]
    settings.NTC_EMAIL_PROVIDERS = {"ses": options | {"endpoint_url": url}}


def test_handshake_of_event_grid_is_answered(client, acs):
    event = {
        "id": "1",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6", "validationUrl": "https://example.com/x"},
    }

    response = post(client, f"azure-{SECRET}", [event])

    assert (response.status_code, response.json()) == (200, {"validationResponse": "512d38b6"})
    assert response["Content-Type"] == "application/json"


def ask(client, name: str, **headers: str):
    return client.options(URL.format(name), headers=headers)


def test_handshake_of_cloud_events_is_answered(client, acs):
    """It permits; it proves nothing, so nothing is stored."""
    response = ask(
        client,
        f"azure-{SECRET}",
        WebHook_Request_Origin="eventgrid.azure.net",
        WebHook_Request_Rate="120",
    )

    assert response.status_code == 200
    assert response["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert response["WebHook-Allowed-Rate"] == "*"
    assert response["Allow"] == "POST"
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    ("name", "origin", "status"),
    [
        ("azure", "eventgrid.azure.net", 404),
        ("azure-wrong", "eventgrid.azure.net", 404),
        (f"azure-{SECRET}", "", 400),
        (f"azure-{SECRET}", "a b", 400),
    ],
)
def test_handshake_without_secret_or_name_is_refused(client, acs, name, origin, status):
    response = ask(client, name, WebHook_Request_Origin=origin)

    assert response.status_code == status
    assert response.json()["status"] == "error"
    assert "WebHook-Allowed-Origin" not in response


def test_company_that_never_asks_is_agreed_to_nothing(client, ses):
    response = ask(client, "ses", WebHook_Request_Origin="eventgrid.azure.net")

    assert "WebHook-Allowed-Origin" not in response
    assert client.get(URL.format("ses")).status_code == 405


@pytest.mark.parametrize("name", ["azure", "azure-wrong"])
def test_who_does_not_know_the_path_is_refused(client, acs, name):
    response = post(client, name, [{"id": "1", "eventType": "x", "data": {}}])

    assert response.status_code in {401, 404}
    assert not WebhookEvent.objects.exists()


def test_reports_of_emails_and_sms_come_in_one_batch(client, acs):
    email, sms = send_to(email=ASHA), send_to(phone_e164="+255712345678")
    refs = {message.pk: message.attempts.get().provider_ref for message in (email, sms)}
    events = [
        {
            "id": "1",
            "eventType": "Microsoft.Communication.EmailDeliveryReportReceived",
            "data": {"messageId": refs[email.pk], "recipient": ASHA, "status": "Bounced"},
        },
        {
            "id": "2",
            "eventType": "Microsoft.Communication.SMSDeliveryReportReceived",
            "data": {
                "messageId": refs[sms.pk],
                "to": "+255712345678",
                "deliveryStatus": "Delivered",
                "deliveryAttempts": [{"segmentsSucceeded": 1, "segmentsFailed": 0}],
            },
        },
    ]

    response = post(client, f"azure-{SECRET}", events)
    run_now()

    assert response.status_code == 200
    email.refresh_from_db()
    sms.refresh_from_db()
    assert (email.state, sms.state) == (MessageState.FAILED, MessageState.DELIVERED)
    assert Suppression.objects.get().channel == "email"
