"""`ntc doctor` asks every provider with our credentials; nothing is sent by it."""

from __future__ import annotations

import secrets
import ssl

import pytest
from ntc_core.doctor import AnswerState, ask_services
from ntc_core.http import NoAnswer
from ntc_notify.providers.aws import AwsRefused

from tests import aws_peer
from tests.acs_peer import ACCESS_KEY, Acs
from tests.http_peer import run_peer
from tests.smtp_server import USERNAME, make_certificate, run_smtp
from tests.test_email_azure import make_provider as azure_at
from tests.test_email_ses import make_provider as ses_at
from tests.test_sms_sns import make_provider as sns_at


@pytest.fixture
def ses():
    with run_peer(aws_peer.answer_ses) as peer:
        yield peer


@pytest.fixture
def sns():
    with run_peer(aws_peer.answer_sns) as peer:
        yield peer


@pytest.fixture
def answers(settings):
    """Ask with these NTC_EMAIL_PROVIDERS and return the answers."""

    def ask(**providers):
        settings.NTC_EMAIL_PROVIDERS = providers
        return {answer.name: answer for answer in ask_services()}

    return ask


def smtp_at(port, **options):
    return {"host": "127.0.0.1", "port": port, "security": "none", "timeout_seconds": 5, **options}


def test_smtp_is_signed_in_to_and_gets_no_email(answers, tmp_path):
    certificate, key = make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    password = secrets.token_hex(8)
    options = {"security": "starttls", "ca_file": str(certificate), "username": USERNAME}
    with run_smtp(password=password, tls_context=context, require_starttls=True) as server:
        known = smtp_at(server.port, **options, password=password)

        assert answers(smtp=known)["email smtp"].state is AnswerState.UP

        refused = answers(smtp={**known, "password": "another-password"})["email smtp"]

    assert refused.state is AnswerState.DOWN
    assert "535" in refused.detail
    assert "another-password" not in refused.detail
    assert refused.advice.startswith("Check NTC_EMAIL_PROVIDERS['smtp']: ")
    assert server.emails == []


def test_djangos_backend_is_connected_to(answers):
    with run_smtp() as server:
        options = {"host": "127.0.0.1", "port": server.port, "timeout": 5}
        provider = {
            "backend": "django.core.mail.backends.smtp.EmailBackend",
            "options": options,
        }

        assert answers(django=provider)["email django"].state is AnswerState.UP

    away = answers(django=provider)["email django"]
    assert away.state is AnswerState.DOWN
    assert away.detail.startswith("ConnectionRefusedError")


def test_the_local_mailbox_is_not_asked(answers, tmp_path):
    answer = answers(mailbox={"directory": str(tmp_path)})["email mailbox"]

    assert answer.state is AnswerState.NOT_ASKED


def test_a_balance_is_a_question_too(sms_company):
    [answer] = [each for each in ask_services() if each.name == "sms alpha"]

    assert answer.state is AnswerState.UP


def test_ses_is_asked_for_the_account(ses):
    ses_at(ses.base_url).prove_access()

    assert [(call.method, call.target) for call in ses.requests] == [("GET", aws_peer.ACCOUNT)]


def test_a_key_that_may_only_send_is_a_good_one(ses, sns):
    ses.next.append(aws_peer.refuse_ses("AccessDeniedException", status=403))
    sns.next.append(aws_peer.refuse_sns("AuthorizationError", status=403))

    ses_at(ses.base_url).prove_access()
    sns_at(sns.base_url).prove_access()


def test_a_key_that_amazon_does_not_know_is_none(ses, sns):
    ses.next.append(aws_peer.refuse_ses("UnrecognizedClientException", status=403))
    sns.next.append(aws_peer.refuse_sns("InvalidClientTokenId", status=403))

    with pytest.raises(AwsRefused, match="UnrecognizedClientException"):
        ses_at(ses.base_url).prove_access()
    with pytest.raises(AwsRefused, match="InvalidClientTokenId"):
        sns_at(sns.base_url).prove_access()


def test_azure_is_asked_for_an_operation_that_nobody_began():
    acs = Acs()
    with run_peer(acs.answer) as peer:
        azure_at(peer.base_url).prove_access()

        wrong = ACCESS_KEY[::-1].replace("=", "A")[:-1] + "="
        with pytest.raises(NoAnswer, match="HTTP 401"):
            azure_at(peer.base_url, access_key=wrong).prove_access()

    assert acs.operations == {}
