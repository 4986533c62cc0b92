"""Amazon's SDK with one request per call, and that one bounded. Plain Python.

boto3 signs the request and reads the answer, but our own client carries it: the SDK's
time-outs bound a single read, not a call, and do not tell whether anything has left. Its
event `before-send` hands us the signed request and takes our answer for the network's.

boto3 is imported at the first call, so that a project without AWS never loads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from ntc_core.http import AnswerUnreadable, NoAnswer, NotSent
from ntc_core.http.aws import carry_for_boto

from ntc_notify.providers.extras import require_installed
from ntc_notify.providers.reasons import make_reason
from ntc_notify.types import SendOutcome

__all__ = ["AwsRefused", "AwsService"]

#: Until a person has corrected a key or a role, there is no hurry.
WAIT_FOR_A_PERSON_SECONDS = 60.0

#: The service is at its end, but it is the service that says so.
_BUSY = frozenset({"InternalError", "InternalFailure", "InternalServerError"}) | frozenset(
    {"InternalServiceError", "InternalServiceErrorException", "ServiceUnavailable"}
)
_THROTTLED = frozenset(
    {"KMSThrottling", "RequestLimitExceeded", "Throttled", "ThrottledException", "Throttling"}
    | {"ThrottlingException", "TooManyRequestsException", "LimitExceededException"}
)
#: The key is right; the operation is not among those it may call.
_NO_RIGHT = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError"})
#: A key that somebody will correct, or a clock: no message is lost until then.
_CREDENTIALS = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthFailure", "AuthorizationError"}
    | {"ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidAccessKeyId"}
    | {"InvalidClientTokenId", "InvalidSecurity", "InvalidSignatureException"}
    | {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "OptInRequired"}
    | {"RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
    | {"UnrecognizedClientException"}
)


class AwsRefused(Exception):
    """AWS answered with an error.

    Attributes:
        code: its name of the error; "" where the answer is not one of AWS's.
        status: HTTP.
    """

    def __init__(self, *, code: str, status: int, message: str) -> None:
        # Not the message: it may repeat what was sent.
        super().__init__(code or f"HTTP {status}")
        self.code = code
        self.status = status
        self._message = message

    def explain(self, *, hidden: Iterable[str] = ()) -> str:
        """Return the error in AWS's own words, without people and without what is hidden."""
        return make_reason(self, self._message, hidden=hidden)

    @property
    def is_passing(self) -> bool:
        """The request was not taken, and the same one may be taken later."""
        known = self.code in _BUSY or self.code in _THROTTLED or self.code in _CREDENTIALS
        return known or self.status == HTTPStatus.TOO_MANY_REQUESTS

    @property
    def is_about_keys(self) -> bool:
        """The key, its rights or the clock are wrong: nothing changes until a person acts."""
        return self.code in _CREDENTIALS

    @property
    def is_unclear(self) -> bool:
        """Nobody can tell whether the request was taken: a gateway's 504, a redirect."""
        is_verdict = HTTPStatus.BAD_REQUEST <= self.status < HTTPStatus.INTERNAL_SERVER_ERROR
        return not is_verdict and self.code not in _BUSY


class AwsService:
    """One service in one region. Thread-safe; keep one per provider."""

    def __init__(
        self,
        service: str,
        *,
        region: str,
        access_key_id: str,
        secret_access_key: str,
        endpoint_url: str,
        timeout_seconds: float,
    ) -> None:
        """Args:
        service: the SDK's name, such as "sesv2".
        access_key_id, secret_access_key: both or neither; without them the SDK looks for the
            role of the machine it runs on.
        endpoint_url: "" for the service's own.
        timeout_seconds: from the call to the last byte of the answer.
        """
        require_installed("boto3", extra="aws")
        if bool(access_key_id) != bool(secret_access_key):
            raise ValueError("access_key_id and secret_access_key go together: set both or none.")
        if endpoint_url and urlsplit(endpoint_url).scheme not in {"http", "https"}:
            raise ValueError("endpoint_url must be a URL such as https://email.eu-west-1….com.")
        self._service = service
        self._timeout_seconds = timeout_seconds
        self._options: dict[str, Any] = {
            "region_name": region,
            "aws_access_key_id": access_key_id or None,
            "aws_secret_access_key": secret_access_key or None,
            "endpoint_url": endpoint_url or None,
        }
        self._client: Any = None
        self._lock = Lock()

    def send(
        self,
        operation: str,
        *,
        paused: frozenset[str],
        about_message: frozenset[str],
        hidden: Iterable[str],
        **parameters: Any,
    ) -> SendOutcome:
        """Make the one request that sends a message, and say what came of it.

        Args:
            operation: as in `call()`.
            paused: codes that mean: this account does not send until a person has acted.
            about_message: codes that mean: no account would take this message. Any other
                refusal is one of ours, and another provider is asked.
            hidden: what of the message no reason may repeat.
        """
        try:
            answer = self.call(operation, **parameters)
        except NotSent as error:
            return SendOutcome.retry(make_reason(error))
        except (NoAnswer, AnswerUnreadable) as error:
            return SendOutcome.unknown(make_reason(error))
        except ValueError as error:
            return SendOutcome.refused(make_reason(error))
        except AwsRefused as error:
            reason = error.explain(hidden=hidden)
            return _read_refusal(error, reason, paused=paused, about_message=about_message)
        message_id = answer.get("MessageId")
        if not message_id:
            return SendOutcome.unknown("AWS answered without the id of the message.")
        return SendOutcome.accepted(provider_ref=str(message_id))

    def prove_access(self, operation: str) -> None:
        """Call an operation that only reads. Raises as `call()`, unless only the right is missing.

        A key that may send and nothing else is the better key, and AWS has known it by then.
        """
        try:
            self.call(operation)
        except AwsRefused as error:
            if error.code not in _NO_RIGHT:
                raise

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """Make one request and return the answer.

        Args:
            operation: the SDK's name of the method, such as "send_email".

        Raises:
            NotSent: nothing has left; also where the SDK found no credentials.
            NoAnswer: it may have arrived.
            AnswerUnreadable: it answered in a shape of its own.
            AwsRefused: it answered with an error.
            ValueError: the parameters cannot be written as a request.
        """
        from botocore.exceptions import (  # noqa: PLC0415 - see above
            BotoCoreError,
            ClientError,
            ParamValidationError,
        )
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - see above

        try:
            answer: Mapping[str, Any] = getattr(self._get_client(), operation)(**parameters)
        except ClientError as error:
            raise _as_refusal(error.response) from None
        except ParamValidationError:
            # The SDK's text repeats the values.
            raise ValueError("The SDK finds a parameter invalid.") from None
        except BotoCoreError as error:
            # Our client carries the requests, so whatever else the SDK raises comes before.
            raise NotSent(f"The SDK made no request: {type(error).__name__}.") from None
        except (ResponseParserError, AttributeError, LookupError, TypeError, ValueError) as error:
            # The SDK's readers stumble over what they do not expect, each in its own way.
            raise AnswerUnreadable("AWS answered in a shape of its own.") from error
        return answer

    def _get_client(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> Any:
        import boto3.session  # noqa: PLC0415 - see above
        from botocore.config import Config  # noqa: PLC0415 - see above

        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            # For the SDK's own calls to the machine that hands out the role's keys.
            connect_timeout=min(5.0, self._timeout_seconds),
            read_timeout=self._timeout_seconds,
        )
        # A session of its own: the SDK's default one is not made for threads.
        client = boto3.session.Session().client(self._service, config=config, **self._options)
        carry_for_boto(client, timeout_seconds=self._timeout_seconds)
        return client


def _read_refusal(
    error: AwsRefused, reason: str, *, paused: frozenset[str], about_message: frozenset[str]
) -> SendOutcome:
    if error.code in paused or error.is_about_keys:
        return SendOutcome.retry(reason, after_seconds=WAIT_FOR_A_PERSON_SECONDS)
    if error.is_passing:
        return SendOutcome.retry(reason)
    if error.is_unclear:
        return SendOutcome.unknown(reason)
    return SendOutcome.refused(reason, elsewhere=error.code not in about_message)


def _as_refusal(response: Mapping[str, Any]) -> AwsRefused:
    error = response.get("Error", {})
    code = str(error.get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    # Where the answer names no error, the SDK puts the status there.
    return AwsRefused(
        code="" if code.isdigit() else code, status=status, message=str(error.get("Message", ""))
    )
