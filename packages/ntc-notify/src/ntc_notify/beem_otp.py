"""Beem's OTP product: Beem makes the code, sends it and checks it. Off unless built.

Our own codes (`ntc_core.auth`) go out as ordinary messages and need none of this. Here
length, lifetime, text and tries are set in Beem's dashboard, and the code never is on our
side. Beem documents no limit per number: count the requests and the tries yourself.

    otp = find_beem_otp()                       # None: NTC_BEEM_OTP is not set
    pin_id = otp.request("+255712345678")       # or OtpNotSent
    otp.verify(pin_id=pin_id, pin="048213").verified

Plain Python. Source: docs/providers/beem-sms.md, "OTP".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ntc_core.http import AnswerUnreadable, HttpAnswer, HttpFailure, NotSent

from ntc_notify.providers.base import LONGEST_CALL_SECONDS
from ntc_notify.providers.beem import make_client, read_code, read_object, to_dest_addr

__all__ = ["BeemOtp", "OtpCheck", "OtpNotSent"]

PIN_SENT = 100
PIN_RIGHT = 117
LONGEST_PIN_ID = 64
LONGEST_PIN = 12

_NOT_SENT: Mapping[int, str] = {
    101: "send_failed",
    102: "invalid_recipient",
    103: "invalid_request",
    104: "invalid_request",
    106: "configuration",
    107: "configuration",
    108: "configuration",
    109: "configuration",
    110: "authentication",
}
_NOT_VERIFIED: Mapping[int, str] = {
    110: "authentication",
    111: "invalid_request",
    112: "invalid_request",
    113: "unknown_pin_id",
    114: "incorrect",
    115: "expired",
    116: "too_many_attempts",
    118: "already_used",
}


class OtpNotSent(Exception):
    """No code is known to be on its way.

    Attributes:
        error: `invalid_recipient`, `invalid_request`, `configuration`, `authentication`,
            `send_failed`, `unreachable`, or `unknown`: then one may have been sent all the same.
    """

    def __init__(self, error: str, *, code: int | None = None) -> None:
        super().__init__(f"Beem sent no code: {error} ({'no code' if code is None else code}).")
        self.error = error
        self.code = code


@dataclass(frozen=True, kw_only=True)
class OtpCheck:
    """Whether a code was right. `reason` where it was not: see `_NOT_VERIFIED`, or `unknown`."""

    verified: bool
    reason: str = ""


class BeemOtp:
    """One OTP application of Beem's."""

    def __init__(
        self,
        *,
        api_key: str,
        secret_key: str,
        app_id: int,
        base_url: str = "https://apiotp.beem.africa",
        timeout_seconds: float = 30.0,
    ) -> None:
        """Args:
        app_id: the application's number in the dashboard.
        """
        if isinstance(app_id, bool) or not isinstance(app_id, int) or app_id < 1:
            raise ValueError("app_id is the number of an OTP application, such as 1.")
        if not 0 < timeout_seconds <= LONGEST_CALL_SECONDS:
            raise ValueError(f"timeout_seconds must be above 0, at most {LONGEST_CALL_SECONDS:g}.")
        self._app_id = app_id
        self._client = make_client(
            base_url, api_key=api_key, secret_key=secret_key, timeout_seconds=timeout_seconds
        )

    def request(self, phone: str) -> str:
        """Have a code sent, once, and return its `pin_id`.

        Raises:
            OtpNotSent: see its `error`.
        """
        try:
            msisdn = to_dest_addr(phone)
        except ValueError as error:
            raise OtpNotSent("invalid_recipient") from error
        try:
            answer = self._client.request(
                "POST", "/v1/request", json={"appId": self._app_id, "msisdn": msisdn}
            )
            code, data = _read(answer)
        except NotSent as error:
            raise OtpNotSent("unreachable") from error
        except (HttpFailure, AnswerUnreadable) as error:
            raise OtpNotSent("unknown") from error
        pin_id = data.get("pinId")
        is_success = HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES
        if code != PIN_SENT or not is_success:
            raise OtpNotSent(_NOT_SENT.get(code or 0, "unknown"), code=code)
        if not isinstance(pin_id, str) or not 0 < len(pin_id) <= LONGEST_PIN_ID:
            raise OtpNotSent("unknown", code=code)
        return pin_id

    def verify(self, *, pin_id: str, pin: str) -> OtpCheck:
        """Ask whether the code is right. Only Beem's number 117 says so, never its words."""
        if not pin_id or len(pin_id) > LONGEST_PIN_ID or not 0 < len(pin) <= LONGEST_PIN:
            return OtpCheck(verified=False, reason="invalid_request")
        try:
            answer = self._client.request("POST", "/v1/verify", json={"pinId": pin_id, "pin": pin})
            # A refused code may come with HTTP 403: the number is read whatever the status.
            code, _ = _read(answer)
        except (HttpFailure, AnswerUnreadable):
            return OtpCheck(verified=False, reason="unknown")
        if code == PIN_RIGHT and HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return OtpCheck(verified=True)
        return OtpCheck(verified=False, reason=_NOT_VERIFIED.get(code or 0, "unknown"))


def _read(answer: HttpAnswer) -> tuple[int | None, Mapping[str, Any]]:
    """Return the code, which lies in `data.message`, and `data`.

    Raises:
        AnswerUnreadable: it is no JSON object, or the server broke.
    """
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise AnswerUnreadable(f"Beem: HTTP {answer.status} is no answer.")
    body = read_object(answer)
    data = body.get("data")
    data = data if isinstance(data, dict) else {}
    message = data.get("message")
    code = read_code(message) if isinstance(message, dict) else read_code(body)
    return code, data
