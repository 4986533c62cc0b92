"""The configured providers of each channel."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from ntc_core.registry import ProviderRegistry

from ntc_notify.beem_otp import BeemOtp
from ntc_notify.conf import notify_settings
from ntc_notify.providers.base import EmailProvider, Provider, SmsProvider
from ntc_notify.types import Channel

__all__ = [
    "EMAIL_PROVIDERS",
    "INBOX",
    "SMS_PROVIDERS",
    "batch_size_of",
    "find_beem_otp",
    "find_receipt_provider",
    "get_provider",
    "list_provider_names",
]

#: What rows of the in-app channel have as their provider: our own database.
INBOX = "inbox"
_MAILBOX = "ntc_notify.providers.mailbox.MailboxProvider"

EMAIL_PROVIDERS: ProviderRegistry[EmailProvider] = ProviderRegistry(
    setting="NTC_EMAIL_PROVIDERS",
    base=EmailProvider,  # type: ignore[type-abstract]  # only subclasses are built
    known={
        "smtp": "ntc_notify.providers.email_smtp.SmtpProvider",
        "ses": "ntc_notify.providers.email_ses.SesProvider",
        "azure": "ntc_notify.providers.email_azure.AzureEmailProvider",
        "django": "ntc_notify.providers.email_django.DjangoEmailProvider",
        "mailbox": _MAILBOX,
    },
)
SMS_PROVIDERS: ProviderRegistry[SmsProvider] = ProviderRegistry(
    setting="NTC_SMS_PROVIDERS",
    base=SmsProvider,  # type: ignore[type-abstract]  # only subclasses are built
    known={
        "beem": "ntc_notify.providers.sms_beem.BeemSmsProvider",
        "sns": "ntc_notify.providers.sms_sns.SnsProvider",
        "azure": "ntc_notify.providers.sms_azure.AzureSmsProvider",
        "mailbox": _MAILBOX,
    },
)


def list_provider_names(channel: Channel) -> list[str]:
    """Return the providers of that channel in the order of failover; in-app needs none."""
    if channel is Channel.INAPP:
        return []
    return (SMS_PROVIDERS if channel is Channel.SMS else EMAIL_PROVIDERS).names()


def get_provider(channel: Channel, name: str) -> Provider:
    """Return the provider of that name; raises as `ProviderRegistry.get` does."""
    if channel is Channel.SMS:
        return SMS_PROVIDERS.get(name)
    return EMAIL_PROVIDERS.get(name)


def batch_size_of(channel: Channel) -> int:
    """Return how many messages the first provider of the channel takes in one call."""
    names = list_provider_names(channel)
    return get_provider(channel, names[0]).capabilities.batch_size if names else 1


def find_receipt_provider(name: str) -> Provider | None:
    """Return the configured provider of that name that sends receipts, or None.

    A company that carries both emails and SMS under one name reads the receipts of both.
    """
    for channel, registry in ((Channel.SMS, SMS_PROVIDERS), (Channel.EMAIL, EMAIL_PROVIDERS)):
        if name in registry.names():
            provider = get_provider(channel, name)
            if provider.capabilities.sends_receipts:
                return provider
    return None


def find_beem_otp() -> BeemOtp | None:
    """Return Beem's own OTP product as NTC_BEEM_OTP describes it, or None: it is off.

    Raises:
        ImproperlyConfigured: an option is missing, unknown or wrong.
    """
    options = notify_settings.BEEM_OTP
    if not options:
        return None
    try:
        return BeemOtp(**options)
    except (TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"NTC_BEEM_OTP: {error}") from error
