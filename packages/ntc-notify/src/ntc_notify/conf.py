"""The settings of this package, and the kinds of notification a project declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from ntc_core.conf import AppSettings

from ntc_notify.errors import UnknownKind
from ntc_notify.types import Channel, Choice, OnAmbiguous

__all__ = [
    "STORED_EMAIL",
    "UNSUBSCRIBE_URL",
    "Kind",
    "NotifySettings",
    "get_kind",
    "list_kinds",
    "notify_settings",
]


class NotifySettings(AppSettings):
    """What a project may decide about ntc_notify."""

    #: Kind -> its options, see `Kind`.
    NOTIFY_KINDS: dict[str, dict[str, Any]] = {}
    #: Provider name -> its options, in the order of failover.
    EMAIL_PROVIDERS: dict[str, dict[str, Any]] = {}
    SMS_PROVIDERS: dict[str, dict[str, Any]] = {}
    #: Options of Beem's own OTP product, see `ntc_notify.beem_otp`; empty: off.
    BEEM_OTP: dict[str, Any] = {}
    #: Languages every kind has templates in; the first is for people of whom we know none,
    #: and each is the fallback of those before it.
    NOTIFY_LANGUAGES: tuple[str, ...] = ("sw", "en")
    #: How long a message of a kind without "expires_seconds" is tried.
    NOTIFY_EXPIRES_SECONDS: int = 24 * 60 * 60
    #: Replace typographic characters in SMS: one curly quote can cost two more segments.
    NOTIFY_PLAIN_SMS: bool = True
    #: A longer SMS is not sent: a variable that went wild must not cost a hundred times over.
    NOTIFY_MAX_SMS_SEGMENTS: int = 10
    #: Provider name -> (price of a segment, currency), such as ("22.50", "TZS").
    SMS_PRICES: dict[str, tuple[str, str]] = {}
    #: From and until, local time: what can wait is not sent meanwhile. None: never.
    NOTIFY_QUIET_HOURS: tuple[str, str] | None = ("21:00", "07:00")
    #: The zone of quiet hours, for people of whom no other is known.
    NOTIFY_TIME_ZONE: str = "Africa/Dar_es_Salaam"
    #: Where the API of this service is reached, such as "https://api.example.com/api/v1"; links
    #: to unsubscribe begin with it.
    NOTIFY_API_URL: str = ""
    #: Takes unsubscribe requests by email, beside the link; empty: none does.
    NOTIFY_UNSUBSCRIBE_EMAIL: str = ""
    #: Provider name -> calls per second, shared by all workers; see also what the provider
    #: itself declares.
    NOTIFY_CALLS_PER_SECOND: dict[str, float] = {}
    #: Read items leave the inbox after this; unread ones after twice as long.
    NOTIFY_INBOX_KEEP_DAYS: int = 90
    #: The facts of a notification are emptied so long after it was made.
    NOTIFY_CONTEXT_KEEP_DAYS: int = 90


notify_settings = NotifySettings()


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One entry of `NTC_NOTIFY_KINDS`.

        "receipt": {"channels": ["sms", "email"], "variables": ["amount", "reference"]},
        "verification_code": {
            "channels": ["sms", "email"],
            "variables": ["challenge_uid", "minutes"],
            "secrets": "shop.receivers.read_code",
            "secret_variables": ["code"],
            "expires_seconds": 600,
            "on_ambiguous": "failover",
        },
        "news": {"channels": ["email"], "variables": ["title"], "marketing": True},

    Attributes:
        channels: where it goes: every one on which the person has an address.
        variables: the facts that `send()` must be given, all of them and no others. They are
            stored; an id is a fact, a code is not.
        secrets: dotted path of a function that is called with the stored context when the
            message is rendered, and returns the secret variables. It may be called more
            than once, and raises `ContentGone` if there is nothing to say any more.
        secret_variables: the names it returns.
        expires_seconds: after this time the message is not sent any more.
        on_ambiguous: see `OnAmbiguous`; "hold" unless said otherwise.
        marketing: its emails say how to unsubscribe, and do with one click.
        choice: see `Choice`; marketing is "on", everything else "forced" unless said otherwise.
        quiet_hours: whether it waits for the morning; marketing does unless said otherwise.
        reply_to: where answers to its emails go.
        attachments: dotted path of a function that is called with the stored context when an
            email is rendered, and returns a list of `ntc_notify.types.Attachment`.
    """

    name: str
    channels: tuple[Channel, ...]
    variables: frozenset[str] = frozenset()
    secrets: str | None = None
    secret_variables: frozenset[str] = frozenset()
    expires_seconds: float
    on_ambiguous: OnAmbiguous = OnAmbiguous.HOLD
    marketing: bool = False
    choice: Choice = Choice.FORCED
    quiet_hours: bool = False
    reply_to: str = ""
    attachments: str | None = None

    @property
    def template_variables(self) -> frozenset[str]:
        """The names that its templates are given and should use."""
        return self.variables | self.secret_variables

    def require_choice(self, channel: Channel) -> None:
        """Raise `UnknownKind` where nobody may choose whether this kind comes on that channel."""
        if channel not in self.channels or self.choice is Choice.FORCED:
            raise UnknownKind(f"There is no choice about {self.name!r} on {channel}.")

    @property
    def offered_variables(self) -> frozenset[str]:
        """The names that its templates may use besides."""
        return frozenset({UNSUBSCRIBE_URL}) if self.marketing else frozenset()


#: What the templates of marketing kinds may show: the link that ends it.
UNSUBSCRIBE_URL = "unsubscribe_url"
#: The kind of what `ntc_notify.mail_backend` was given: it has been written by somebody else.
STORED_EMAIL = "stored_email"


def get_kind(name: str) -> Kind:
    """Return the declared kind.

    Raises:
        UnknownKind: the message lists the kinds there are.
        ImproperlyConfigured: its entry is wrong; the message names what.
    """
    if name == STORED_EMAIL:
        return Kind(
            name=STORED_EMAIL,
            channels=(Channel.EMAIL,),
            expires_seconds=notify_settings.NOTIFY_EXPIRES_SECONDS,
        )
    options = notify_settings.NOTIFY_KINDS.get(name)
    if options is None:
        known = ", ".join(sorted(notify_settings.NOTIFY_KINDS)) or "none"
        raise UnknownKind(f"NTC_NOTIFY_KINDS has no {name!r}. Declared: {known}.")
    return _read_kind(name, options)


def list_kinds() -> list[Kind]:
    """Return every declared kind; raises as `get_kind` does."""
    return [get_kind(name) for name in notify_settings.NOTIFY_KINDS]


def _read_kind(name: str, options: Mapping[str, Any]) -> Kind:
    where = f"NTC_NOTIFY_KINDS[{name!r}]"
    if name == STORED_EMAIL:
        raise ImproperlyConfigured(f"{where}: that name is taken by ntc_notify.mail_backend.")
    known = Kind.__dataclass_fields__.keys() - {"name"}
    surplus = sorted(options.keys() - known)
    if surplus:
        raise ImproperlyConfigured(
            f"{where} has {', '.join(surplus)}. It may have: {', '.join(sorted(known))}."
        )
    marketing = bool(options.get("marketing", False))
    try:
        kind = Kind(
            name=name,
            channels=tuple(Channel(channel) for channel in options.get("channels", ())),
            variables=frozenset(options.get("variables", ())),
            secrets=options.get("secrets"),
            secret_variables=frozenset(options.get("secret_variables", ())),
            expires_seconds=options.get("expires_seconds", notify_settings.NOTIFY_EXPIRES_SECONDS),
            on_ambiguous=OnAmbiguous(options.get("on_ambiguous", OnAmbiguous.HOLD)),
            marketing=marketing,
            choice=Choice(options.get("choice", Choice.ON if marketing else Choice.FORCED)),
            quiet_hours=bool(options.get("quiet_hours", marketing)),
            reply_to=options.get("reply_to", ""),
            attachments=options.get("attachments"),
        )
    except ValueError as error:
        raise ImproperlyConfigured(f"{where}: {error}.") from error
    _require_sense(kind, where)
    return kind


def _require_sense(kind: Kind, where: str) -> None:
    if not kind.channels:
        raise ImproperlyConfigured(f"{where} needs 'channels', such as ['sms', 'email'].")
    if kind.expires_seconds <= 0:
        raise ImproperlyConfigured(f"{where}: 'expires_seconds' must be above 0.")
    if bool(kind.secrets) != bool(kind.secret_variables):
        raise ImproperlyConfigured(
            f"{where}: 'secrets' and 'secret_variables' go together: the function, and the names "
            "of the variables it returns, such as ['code']."
        )
    if kind.marketing and kind.choice is Choice.FORCED:
        raise ImproperlyConfigured(
            f"{where}: nobody can be forced to take marketing; 'choice' is 'on' or 'off'."
        )
    if kind.marketing and kind.secrets:
        raise ImproperlyConfigured(f"{where}: marketing has no 'secrets'.")
    if kind.secrets and Channel.INAPP in kind.channels:
        raise ImproperlyConfigured(
            f"{where}: an inbox keeps what it shows, so a kind with 'secrets' has no channel "
            "'inapp'."
        )
    if UNSUBSCRIBE_URL in kind.template_variables:
        raise ImproperlyConfigured(f"{where}: {UNSUBSCRIBE_URL!r} is ours to set.")
    both = sorted(kind.variables & kind.secret_variables)
    if both:
        raise ImproperlyConfigured(
            f"{where}: {', '.join(both)} cannot be a stored variable and a secret one."
        )
