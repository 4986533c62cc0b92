"""Run the system checks under other settings."""

from __future__ import annotations

from django.core.checks import run_checks
from django.test import override_settings

#: What a public service has and these tests have not.
PUBLIC = {
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "CHANNEL_LAYERS": {"default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}},
}


def find(*, deploy=False, **settings):
    """Return what the core's checks find."""
    with override_settings(**{**PUBLIC, **settings}):
        found = run_checks(include_deployment_checks=deploy)
    return [message for message in found if message.id.startswith("ntc_")]


def ids(**settings):
    """Return the ids of what the core's checks find, in order."""
    return sorted(message.id for message in find(**settings))
