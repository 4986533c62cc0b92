"""What crosses the borders of this package: frozen values and the words for states.

Plain Python: providers speak in these values and know neither Django nor rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

from ntc_core.phone import mask_email, mask_phone

from ntc_notify.errors import InvalidRecipient

__all__ = [
    "CONTROL_CHARACTERS",
    "RANK",
    "Attachment",
    "Balance",
    "Capabilities",
    "Channel",
    "Choice",
    "MessageState",
    "OnAmbiguous",
    "Outcome",
    "OutgoingEmail",
    "OutgoingMessage",
    "OutgoingSms",
    "Receipt",
    "Recipient",
    "SendOutcome",
    "SuppressionReason",
    "may_follow",
    "to_ascii_email",
]

_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_EMAIL = re.compile(r"[^\s@<>\"'(),:;\\]+@[^\s@<>\"'(),:;\\]+")
_LONGEST_EMAIL = 254  # RFC 5321, 4.5.3.1.3
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
#: In no header of an email.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class Channel(StrEnum):
    """A road to a person."""

    SMS = "sms"
    EMAIL = "email"
    INAPP = "inapp"  # the inbox of a user in our own database

    def mask(self, address: str) -> str:
        """Return the address as logs and screens may show it."""
        if self is Channel.INAPP:
            return address  # "user:12", nobody's name
        return mask_phone(address) if self is Channel.SMS else mask_email(address)


class MessageState(StrEnum):
    """Where one message is on its way."""

    QUEUED = "queued"  # waits for its first or next try
    SENDING = "sending"  # a worker has claimed it and talks to a provider
    UNKNOWN = "unknown"  # perhaps handed over, perhaps not: held for a receipt or a person
    ACCEPTED = "accepted"  # the provider has taken it over
    DEFERRED = "deferred"  # taken over; the provider says it is late
    SOFT_BOUNCED = "soft_bounced"  # taken over; the far end refused it for now
    DELIVERED = "delivered"  # it has arrived
    OPENED = "opened"  # it was looked at
    CLICKED = "clicked"  # a link in it was followed
    FAILED = "failed"  # refused for good
    SUPPRESSED = "suppressed"  # not sent: the person does not want it
    EXPIRED = "expired"  # not sent: too late to be of use
    CANCELED = "canceled"  # not sent: its content is gone


#: News of a higher rank replaces news of a lower one, in whatever order it comes in:
#: "accepted" that arrives after "delivered" changes nothing, and a delivery report
#: corrects a "failed". The states that end a message which was never handed over stand
#: aside: nothing a provider says can follow them.
RANK: dict[MessageState, int] = {
    MessageState.QUEUED: 0,
    MessageState.SENDING: 1,
    MessageState.UNKNOWN: 2,
    MessageState.ACCEPTED: 3,
    MessageState.DEFERRED: 4,
    MessageState.SOFT_BOUNCED: 5,
    MessageState.FAILED: 6,
    MessageState.DELIVERED: 7,
    MessageState.OPENED: 8,
    MessageState.CLICKED: 9,
}


def may_follow(old: MessageState, new: MessageState) -> bool:
    """Tell whether what a provider says, `new`, may replace the state `old`."""
    return old in RANK and new in RANK and RANK[new] > RANK[old]


class Outcome(StrEnum):
    """What one call to a provider came to."""

    OPEN = "open"  # the call is being made, or its worker died
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    REFUSED = "refused"
    RETRY = "retry"
    UNKNOWN = "unknown"


class OnAmbiguous(StrEnum):
    """What to do with a message that may or may not have been handed over."""

    #: Never risk a second copy: wait for a receipt or a person. For receipts and marketing.
    HOLD = "hold"
    #: A second copy is harmless, a missing one is not: send once more, by the same provider
    #: and under the same id. For codes and alerts.
    RESEND = "resend"
    #: The same, but the second copy goes by the next provider, if there is one.
    FAILOVER = "failover"


class Choice(StrEnum):
    """What a person may decide about a kind of notification."""

    ON = "on"  # sent until they say no
    OFF = "off"  # sent once they say yes
    FORCED = "forced"  # sent whatever they say: codes, receipts


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """Whom a notification is for, where there is no user or not the user's own address.

    Raises:
        InvalidRecipient: no address at all, or one in a shape that cannot work.
    """

    email: str | None = None
    phone_e164: str | None = None
    #: A saved user of the project, or None for a stranger.
    user: Any = None
    language: str | None = None

    def __post_init__(self) -> None:
        if self.email:
            to_ascii_email(self.email)
        if self.phone_e164 and not _E164.fullmatch(self.phone_e164):
            raise InvalidRecipient(
                "The phone number must be written like +255712345678.", attr="phone"
            )

    def find_address(self, channel: Channel) -> str | None:
        """Return where the person is reached on that channel, if anywhere."""
        if channel is Channel.INAPP:
            pk = getattr(self.user, "pk", None)
            return None if pk is None else f"user:{pk}"
        if channel is Channel.SMS:
            return self.phone_e164 or None
        return to_ascii_email(self.email) if self.email else None


def to_ascii_email(address: str) -> str:
    """Return the address with its domain as DNS knows it (IDNA), as providers name it again.

    Otherwise a receipt would not find its message, and who is suppressed under one spelling
    of a domain would be written to under the other.

    Raises:
        InvalidRecipient: it is in a shape that cannot work.
    """
    local, _, domain = address.rpartition("@")
    try:
        plain = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        plain = ""
    if not _EMAIL.fullmatch(plain) or not _EMAIL.fullmatch(address) or len(plain) > _LONGEST_EMAIL:
        raise InvalidRecipient("The email address is not valid.", attr="email")
    return plain


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file that travels with an email.

    Raises:
        ValueError: its name could leave a folder or write a header, or it has no media type.
    """

    filename: str
    content_type: str
    content: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if (
            not self.filename
            or CONTROL_CHARACTERS.search(self.filename)
            or set(self.filename) & {"/", "\\"}
        ):
            raise ValueError(
                "Attachment.filename must be a name without control characters and slashes."
            )
        if not _MEDIA_TYPE.fullmatch(self.content_type):
            raise ValueError("Attachment.content_type must be a media type such as text/csv.")


@dataclass(frozen=True, kw_only=True)
class OutgoingEmail:
    """One email to one person, ready to leave."""

    #: Ours, stored before the call: the same id again means the same message again.
    provider_uid: UUID
    to: str
    sender: str
    subject: str
    text: str
    html: str | None = None
    #: Where answers go instead of to the sender.
    reply_to: tuple[str, ...] = ()
    #: More headers, such as List-Unsubscribe; one line each.
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()

    def __post_init__(self) -> None:
        # A line break in a header would let a name or an amount write headers of its own.
        lines = {
            "to": [self.to],
            "sender": [self.sender],
            "subject": [self.subject],
            "reply_to": self.reply_to,
            "headers": [*self.headers, *self.headers.values()],
        }
        for name, values in lines.items():
            if any(CONTROL_CHARACTERS.search(value) for value in values):
                raise ValueError(
                    f"OutgoingEmail.{name} must be one line without control characters."
                )


@dataclass(frozen=True, kw_only=True)
class OutgoingSms:
    """One SMS to one person, ready to leave."""

    #: Ours, stored before the call: the same id again means the same message again.
    provider_uid: UUID
    to: str
    text: str
    #: When a call under this id was made first, where this is not the first one: companies
    #: that know a repeated call by its id want to hear the same time again.
    first_sent_at: datetime | None = None


OutgoingMessage: TypeAlias = OutgoingEmail | OutgoingSms


@dataclass(frozen=True, kw_only=True)
class SendOutcome:
    """What a provider made of one message. Build it with one of the four functions below."""

    outcome: Outcome
    #: The provider's own id of the message; receipts are matched by it.
    provider_ref: str = ""
    #: For people who look for the reason; never the body.
    reason: str = ""
    #: Refused here, but another provider may take it (this account may not send it).
    elsewhere: bool = False
    #: The provider asked us not to come back before.
    retry_after_seconds: float | None = None
    #: What the provider counts an SMS as, where it says so.
    segments: int | None = None

    @classmethod
    def accepted(
        cls, *, provider_ref: str, delivered: bool = False, segments: int | None = None
    ) -> SendOutcome:
        """Return: the provider has taken it over, or even brought it to its end."""
        outcome = Outcome.DELIVERED if delivered else Outcome.ACCEPTED
        return cls(outcome=outcome, provider_ref=provider_ref, segments=segments)

    @classmethod
    def refused(cls, reason: str, *, elsewhere: bool = False) -> SendOutcome:
        """Return: certainly not taken, and this provider never will."""
        return cls(outcome=Outcome.REFUSED, reason=reason, elsewhere=elsewhere)

    @classmethod
    def retry(cls, reason: str, *, after_seconds: float | None = None) -> SendOutcome:
        """Return: certainly not taken, but it may work later or at another provider."""
        return cls(outcome=Outcome.RETRY, reason=reason, retry_after_seconds=after_seconds)

    @classmethod
    def unknown(cls, reason: str) -> SendOutcome:
        """Return: perhaps taken, perhaps not. Silence after the last byte is this."""
        return cls(outcome=Outcome.UNKNOWN, reason=reason)


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a provider can do; the services ask it for nothing else."""

    #: A second call with the same `provider_uid` makes no second message.
    deduplicates: bool = False
    #: Above 1: `send_batch()` takes so many.
    batch_size: int = 1
    can_query: bool = False
    can_tell_balance: bool = False
    #: Tells later, by webhook, what became of a message.
    sends_receipts: bool = False
    #: Those webhooks prove by themselves who sent them. Where they do not, only the path that
    #: ends in NTC_WEBHOOK_PATH_SECRET takes them.
    signs_receipts: bool = False
    #: What its account may do; None: not known.
    calls_per_second: float | None = None


class SuppressionReason(StrEnum):
    """Why nothing is sent to an address any more."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBED = "unsubscribed"
    OPTED_OUT = "opted_out"
    MANUAL = "manual"


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a provider says later about one message.

    It belongs to the attempt with this `provider_ref`, else with this `provider_uid`; where
    it names an address, the message's address must be it.
    """

    state: MessageState
    provider_ref: str = ""
    provider_uid: UUID | None = None
    address: str | None = None
    #: For people who look for the reason; never the body.
    reason: str = ""
    segments: int | None = None
    suppression: SuppressionReason | None = None
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What an account still has, in the provider's own unit, such as "SMS" or "TZS"."""

    amount: Decimal
    unit: str
