"""Production settings with a view that has a bug."""

from farajayangu_be.settings.prod import *  # noqa: F403 - settings inherit this way

ROOT_URLCONF = "tests.urls_with_crash"
