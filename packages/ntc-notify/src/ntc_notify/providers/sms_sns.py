"""SMS by Amazon SNS. Plain Python.

| SNS says | Outcome |
| --- | --- |
| throttled, 5xx in its own words | retry |
| a wrong key, no right to publish | retry, in a minute |
| number or text invalid, the number has opted out | refused |
| anything else it refuses | refused, another may take it |
| silence, a gateway's 5xx, something else than XML | unknown |

SNS tells nothing later about an SMS: delivery status goes to CloudWatch Logs only.
Source: docs/providers/sns.md.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar, Literal

from ntc_notify.providers.aws import AwsService
from ntc_notify.providers.base import LONGEST_CALL_SECONDS, SmsProvider
from ntc_notify.types import Capabilities, OutgoingSms, SendOutcome

__all__ = ["SnsProvider"]

SmsType = Literal["Transactional", "Promotional"]

LONGEST_TEXT = 1600
_SENDER_ID = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]{1,11}", re.ASCII)
_ABOUT_MESSAGE = frozenset(
    {"InvalidParameter", "ParameterValueInvalid", "ValidationException", "OptedOut"}
)


class SnsProvider(SmsProvider):
    """Publishes SMS to numbers, one per call; never to a topic."""

    name: ClassVar[str] = "sns"
    capabilities = Capabilities()
    known_types: ClassVar[tuple[str, ...]] = ("Transactional", "Promotional")

    def __init__(
        self,
        *,
        region: str,
        access_key_id: str = "",
        secret_access_key: str = "",
        sender_id: str = "",
        sms_type: SmsType = "Transactional",
        max_price_usd: str = "",
        endpoint_url: str = "",
        timeout_seconds: float = 20.0,
    ) -> None:
        """Args:
        access_key_id, secret_access_key: both, or neither where the machine has a role.
        sender_id: 1 to 11 letters and digits with at least one letter; "" lets SNS choose.
        sms_type: "Transactional" is dearer and arrives more surely.
        max_price_usd: an SMS that would cost more is not sent, such as "0.30"; "": no limit
            but the account's own.
        endpoint_url: "" for the region's own.
        timeout_seconds: for one call, everything included.
        """
        if not 0 < timeout_seconds <= LONGEST_CALL_SECONDS:
            raise ValueError(f"timeout_seconds must be above 0, at most {LONGEST_CALL_SECONDS:g}.")
        if sms_type not in self.known_types:
            raise ValueError(f"sms_type must be one of {', '.join(self.known_types)}.")
        if sender_id and not _SENDER_ID.fullmatch(sender_id):
            raise ValueError(
                "sender_id must be 1 to 11 letters and digits with at least one letter."
            )
        self.timeout_seconds = timeout_seconds
        self._attributes = {"AWS.SNS.SMS.SMSType": _text(sms_type)}
        if sender_id:
            self._attributes["AWS.SNS.SMS.SenderID"] = _text(sender_id)
        if max_price_usd:
            price = _require_price(max_price_usd)
            self._attributes["AWS.SNS.SMS.MaxPrice"] = _text(price, kind="Number")
        self._service = AwsService(
            "sns",
            region=region,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            endpoint_url=endpoint_url,
            timeout_seconds=timeout_seconds,
        )

    def send(self, message: OutgoingSms, /) -> SendOutcome:
        if len(message.text) > LONGEST_TEXT:
            return SendOutcome.refused(
                f"SNS takes {LONGEST_TEXT} characters, the text has {len(message.text)}."
            )
        return self._service.send(
            "publish",
            paused=frozenset(),
            about_message=_ABOUT_MESSAGE,
            hidden=[message.text],
            PhoneNumber=message.to,
            Message=message.text,
            MessageAttributes=self._attributes,
        )

    def prove_access(self) -> None:
        """Ask for the account's settings of SMS."""
        self._service.prove_access("get_sms_attributes")


def _text(value: str, *, kind: str = "String") -> dict[str, Any]:
    return {"DataType": kind, "StringValue": value}


def _require_price(text: str) -> str:
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise ValueError("max_price_usd must be an amount such as 0.30.") from error
    if not price.is_finite() or price <= 0:
        raise ValueError("max_price_usd must be above 0.")
    return f"{price:f}"
