"""Development settings, DEBUG on, with a view that has a bug."""

from farajayangu_be.settings.dev import *  # noqa: F403 - settings inherit this way

ROOT_URLCONF = "tests.urls_with_crash"
