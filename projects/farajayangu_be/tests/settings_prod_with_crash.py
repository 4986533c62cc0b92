"""Production settings with a view that has a bug, and static files in a folder of the test."""

import os

from farajayangu_be.settings.prod import *  # noqa: F403 - settings inherit this way

ROOT_URLCONF = "tests.urls_with_crash"
STATIC_ROOT = os.environ["TEST_STATIC_ROOT"]
