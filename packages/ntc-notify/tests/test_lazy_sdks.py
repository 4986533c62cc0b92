"""Who does not use a company's SDK never loads it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ntc_notify.providers.extras import require_installed

AZURE = 'endpoint="https://x.example", access_key="eA=="'
AWS = 'region="eu-west-1"'
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses"
PROVIDERS = [
    f'ntc_notify.providers.email_ses.SesProvider({AWS}, topic_arns="{TOPIC}")',
    f"ntc_notify.providers.sms_sns.SnsProvider({AWS})",
    f"ntc_notify.providers.email_azure.AzureEmailProvider({AZURE})",
    f'ntc_notify.providers.sms_azure.AzureSmsProvider({AZURE}, sender="X1")',
]
SDKS = ("azure", "boto3", "botocore", "cryptography", "requests")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_building_a_provider_loads_no_sdk(provider):
    """A process of its own: in this one another test has loaded them already."""
    module = provider.partition("(")[0].rpartition(".")[0]
    code = (
        f"import sys, {module}\n{provider}\n"
        f"print(*[name for name in {SDKS!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""


def test_the_whole_package_loads_no_sdk():
    code = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "django.setup()\n"
        "import ntc_notify.services, ntc_notify.tasks, ntc_notify.admin, ntc_notify.registry\n"
        f"print(*[name for name in {SDKS!r} if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""


def test_package_that_is_missing_is_named_with_what_brings_it():
    """At start-up, where `manage.py check` says so; not by the first person's message."""
    with pytest.raises(ValueError, match=r"^no-such-sdk is not installed.*ntc-notify\[aws\]"):
        require_installed("no-such-sdk", extra="aws")
