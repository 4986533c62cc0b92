"""Production settings with access tokens so short that a test can wait for their end."""

from farajayangu_be.settings.prod import *  # noqa: F403 - settings inherit this way

NTC_ACCESS_TOKEN_SECONDS = 6
