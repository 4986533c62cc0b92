"""The exam, passed by the providers of the clouds."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

import pytest
from ntc_core.webhooks.types import WebhookRequest
from ntc_notify.providers.email_azure import AzureEmailProvider
from ntc_notify.providers.email_django import DjangoEmailProvider
from ntc_notify.providers.email_ses import SesProvider
from ntc_notify.providers.sms_azure import AzureSmsProvider
from ntc_notify.providers.sms_sns import SnsProvider
from ntc_notify.testing import HttpProviderSuite, HttpReply, NotifyProviderSuite, Story
from ntc_notify.testing.http_peer import free_port
from ntc_notify.testing.suite import EMAIL, PHONE, REFERENCE, SUBJECT, TEXT
from ntc_notify.types import Channel, MessageState

from tests.smtp_server import run_smtp
from tests.sns_peer import TOPIC, Signer, make_notification, post
from tests.test_provider_exams import SmtpPeer

AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYmtihani"
AZURE_KEY = base64.b64encode(b"mtihani-wa-ufunguo-wa-siri").decode()
PATH_SECRET = "njia-ya-siri-7781"
# Companies like to repeat what they refuse, and to whom.
REPEATED_EMAIL = f"{SUBJECT}: {TEXT} to {EMAIL}"
REPEATED_SMS = f"{TEXT} to {PHONE}"


@pytest.fixture(scope="module")
def signer(tmp_path_factory) -> Signer:
    return Signer(tmp_path_factory.mktemp("sns"))


def aws_error(code: str, *, status: int = 400) -> HttpReply:
    reply = HttpReply.json({"message": REPEATED_EMAIL}, status=status)
    return replace(reply, headers={**reply.headers, "x-amzn-ErrorType": code})


class TestSes(HttpProviderSuite):
    channel = Channel.EMAIL
    secrets = (AWS_SECRET,)
    accepted = HttpReply.json({"MessageId": REFERENCE})
    refused = aws_error("BadRequestException")
    throttled = aws_error("TooManyRequestsException", status=429)
    throttled_seconds = None  # SES names none

    @pytest.fixture(autouse=True)
    def _sign(self, signer: Signer) -> None:
        self.signer = signer

    def make_provider(self, base_url: str) -> SesProvider:
        return SesProvider(
            region="eu-west-1",
            access_key_id="AKIAMTIHANI",
            secret_access_key=AWS_SECRET,
            topic_arns=TOPIC,
            endpoint_url=base_url,
            timeout_seconds=1.0,
            fetch_certificate=lambda _: self.signer.certificate,
        )

    def make_receipt(self, state: MessageState) -> WebhookRequest:
        told = {
            MessageState.DELIVERED: {"delivery": {"recipients": [EMAIL]}},
            MessageState.FAILED: {"bounce": BOUNCE},
        }[state]
        kind = {"delivery": "Delivery", "bounce": "Bounce"}[next(iter(told))]
        mail = {"messageId": REFERENCE, "destination": [EMAIL]}
        message = make_notification({"eventType": kind, "mail": mail} | told)
        return post(self.signer.sign(message), path="/api/v1/webhooks/notify/ses/")

    def without_proof(self, request: WebhookRequest) -> WebhookRequest:
        message = json.loads(request.body) | {"Signature": base64.b64encode(b"x" * 256).decode()}
        return replace(request, body=json.dumps(message).encode())


BOUNCE = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": EMAIL}]}


def sns_error(code: str, *, status: int = 400) -> HttpReply:
    error = f"<Error><Code>{code}</Code><Message>{REPEATED_SMS}</Message></Error>"
    body = f"<ErrorResponse>{error}</ErrorResponse>".encode()
    return HttpReply(status=status, body=body, headers={"Content-Type": "text/xml"})


class TestSns(HttpProviderSuite):
    channel = Channel.SMS
    secrets = (AWS_SECRET,)
    accepted = HttpReply(
        body=b"<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult>"
        b"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PublishResponse>",
        headers={"Content-Type": "text/xml"},
    )
    refused = sns_error("InvalidParameter")
    throttled = sns_error("Throttled", status=429)
    throttled_seconds = None  # SNS names none

    def make_provider(self, base_url: str) -> SnsProvider:
        return SnsProvider(
            region="eu-west-1",
            access_key_id="AKIAMTIHANI",
            secret_access_key=AWS_SECRET,
            endpoint_url=base_url,
            timeout_seconds=1.0,
        )


def azure_error(code: str, words: str, *, status: int, **headers: str) -> HttpReply:
    return HttpReply.json({"error": {"code": code, "message": words}}, status=status, **headers)


def post_event(kind: str, **data: object) -> WebhookRequest:
    uid = uuid5(NAMESPACE_URL, f"{kind}-{data}")
    event = {"id": str(uid), "eventType": f"Microsoft.Communication.{kind}", "data": data}
    return WebhookRequest(
        method="POST",
        path=f"/api/v1/webhooks/notify/azure-{PATH_SECRET}/",
        headers={},
        query={},
        body=json.dumps([event]).encode(),
        received_at=datetime.now(UTC),
    )


class TestAzureEmail(HttpProviderSuite):
    channel = Channel.EMAIL
    secrets = (AZURE_KEY, PATH_SECRET)
    accepted = HttpReply.json({"id": REFERENCE, "status": "Running"}, status=202)
    refused = azure_error("BadRequest", REPEATED_EMAIL, status=400)
    throttled = azure_error("TooManyRequests", REPEATED_EMAIL, status=429, retry_after="7")

    def make_provider(self, base_url: str) -> AzureEmailProvider:
        return AzureEmailProvider(
            endpoint=base_url,
            access_key=AZURE_KEY,
            webhook_secret=PATH_SECRET,
            timeout_seconds=1.0,
        )

    def make_receipt(self, state: MessageState) -> WebhookRequest:
        status = {MessageState.DELIVERED: "Delivered", MessageState.FAILED: "Bounced"}[state]
        return post_event(
            "EmailDeliveryReportReceived", messageId=REFERENCE, recipient=EMAIL, status=status
        )


class TestAzureSms(HttpProviderSuite):
    channel = Channel.SMS
    secrets = (AZURE_KEY, PATH_SECRET)
    accepted = HttpReply.json({"value": []}, status=202)
    refused = azure_error("BadRequest", REPEATED_SMS, status=400)
    throttled = azure_error("TooManyRequests", REPEATED_SMS, status=429, retry_after="7")

    def make_provider(self, base_url: str) -> AzureSmsProvider:
        return AzureSmsProvider(
            endpoint=base_url,
            access_key=AZURE_KEY,
            sender="FARAJA",
            webhook_secret=PATH_SECRET,
            timeout_seconds=1.0,
        )

    def accept(self, request) -> HttpReply:
        recipients = request.json()["smsRecipients"]
        results = [
            {
                "to": each["to"],
                "messageId": f"m-{number}",
                "httpStatusCode": 202,
                "successful": True,
            }
            for number, each in enumerate(recipients)
        ]
        return HttpReply.json({"value": results}, status=202)

    def identify(self, request) -> tuple[str, ...]:
        return tuple(each["repeatabilityRequestId"] for each in request.json()["smsRecipients"])

    def make_receipt(self, state: MessageState) -> WebhookRequest:
        status = {MessageState.DELIVERED: "Delivered", MessageState.FAILED: "Failed"}[state]
        return post_event(
            "SMSDeliveryReportReceived", messageId=REFERENCE, to=PHONE, deliveryStatus=status
        )


class TestDjangoBackend(NotifyProviderSuite):
    channel = Channel.EMAIL
    foreign_loggers = ("mail.log",)
    stories = frozenset(Story) - {Story.BROKEN}  # SMTP has no 5xx that says nothing

    @contextmanager
    def running(self, story):
        with run_smtp() as server:
            server.handler.mode = story.value
            port = free_port() if story is Story.ABSENT else server.port
            provider = DjangoEmailProvider(
                backend="django.core.mail.backends.smtp.EmailBackend",
                options={"host": "127.0.0.1", "port": port},
                timeout_seconds=1.0,
            )
            yield provider, SmtpPeer(server)
