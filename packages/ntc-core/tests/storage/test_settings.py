"""From the environment to settings: what is missing or wrong is named, never shown."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured
from ntc_core.storage.checks import check_deployment, check_settings
from ntc_core.storage.conf import file_settings
from ntc_core.storage.providers.extras import require_installed
from ntc_core.storage.registry import PROVIDERS
from ntc_core.storage.settings import storage_settings

S3 = {"STORAGE_PROVIDER": "s3", "S3_BUCKET": "files", "AWS_REGION": "eu-west-1"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "not-a-real-one"}
AZURE = {
    "STORAGE_PROVIDER": "azure",
    "AZURE_STORAGE_CONNECTION_STRING": "AccountName=faraja;AccountKey=bm90LWEtcmVhbC1vbmU=",
    "AZURE_STORAGE_CONTAINER": "files",
}


def choose(values, **options):
    return storage_settings(lambda name: values.get(name, ""), **options)


def test_nothing_is_kept_where_nobody_said_where(settings):
    choice = choose({})

    assert choice.providers == {}
    assert choice.django_storage["BACKEND"].endswith("FileSystemStorage")


def test_a_folder_is_taken_from_the_environment_or_from_the_project():
    options = {
        "local_url": "https://a.example.com/api/v1/uploads/local",
        "secret_key": "of the project",
    }

    given = choose({"STORAGE_PROVIDER": "LOCAL", "STORAGE_DIR": "/srv/files"}, **options)
    default = choose({}, default="local", directory="/tmp/files", **options)  # noqa: S108

    assert given.providers["local"]["directory"] == "/srv/files"
    assert given.django_storage["OPTIONS"]["location"] == "/srv/files/media"
    assert default.providers["local"]["directory"] == "/tmp/files"  # noqa: S108
    key = given.providers["local"]["signing_key"]
    assert len(key) == 64
    assert "project" not in repr(given)
    assert key not in repr(given)


@pytest.mark.parametrize("values", [S3, S3 | KEYS, AZURE], ids=["role", "keys", "azure"])
def test_what_is_complete_can_be_built(settings, values):
    settings.NTC_STORAGE_PROVIDERS = choose(values).providers

    assert check_settings() == []
    assert PROVIDERS.get(values["STORAGE_PROVIDER"]).name == values["STORAGE_PROVIDER"]
    assert check_deployment() == []


def test_what_only_speaks_like_s3_needs_no_region():
    choice = choose(
        {"STORAGE_PROVIDER": "s3", "S3_BUCKET": "files", "S3_ENDPOINT_URL": "https://minio.local/"}
    )

    assert choice.providers["s3"]["region"] == "us-east-1"
    assert choice.providers["s3"]["endpoint_url"] == "https://minio.local"
    assert choice.django_storage["OPTIONS"]["addressing_style"] == "path"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"STORAGE_PROVIDER": "gcs-not-known"}, "STORAGE_PROVIDER"),
        ({"STORAGE_PROVIDER": "local"}, "STORAGE_DIR"),
        ({**S3, "S3_BUCKET": ""}, "S3_BUCKET"),
        ({**S3, "AWS_REGION": ""}, "AWS_REGION"),
        ({**S3, "S3_ENDPOINT_URL": "minio.not-a-url"}, "S3_ENDPOINT_URL"),
        ({**S3, "AWS_ACCESS_KEY_ID": "AKIA-alone"}, "AWS_SECRET_ACCESS_KEY"),
        ({**S3, "AWS_SECRET_ACCESS_KEY": "alone-secret"}, "AWS_ACCESS_KEY_ID"),
        ({**AZURE, "AZURE_STORAGE_CONNECTION_STRING": ""}, "AZURE_STORAGE_CONNECTION_STRING"),
        (
            {**AZURE, "AZURE_STORAGE_CONNECTION_STRING": "BlobEndpoint=https://not-a-secret"},
            "AZURE_STORAGE_CONNECTION_STRING",
        ),
        ({**AZURE, "AZURE_STORAGE_CONTAINER": ""}, "AZURE_STORAGE_CONTAINER"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_or_wrong_stops_the_start_up_and_names_itself(values, name):
    with pytest.raises(ImproperlyConfigured) as refused:
        choose(values)

    sentence = str(refused.value)
    assert sentence.startswith(f"{name} ")
    assert "Expected" in sentence
    assert sentence.endswith("; see .env.example.")
    assert not [value for value in values.values() if "not-" in value and value in sentence]


@pytest.mark.parametrize(
    ("name", "value", "check_id"),
    [
        ("NTC_STORAGE_PROVIDERS", {"s3": {"bucket": "files"}}, "E001"),
        ("NTC_STORAGE_PROVIDERS", {"s3": {"bucket": "a", "region": "b", "acl": "x"}}, "E001"),
        ("NTC_STORAGE_PROVIDERS", {"ftp": {}}, "E001"),
        (
            "NTC_STORAGE_PROVIDERS",
            {"local": {"directory": "/x", "base_url": "uploads", "signing_key": "k" * 32}},
            "E001",
        ),
        (
            "NTC_STORAGE_PROVIDERS",
            {"local": {"directory": "/x", "base_url": "https://a/b", "signing_key": "short"}},
            "E001",
        ),
        (
            "NTC_STORAGE_PROVIDERS",
            {"s3": {"bucket": "a", "region": "b", "access_key_id": "alone"}},
            "E001",
        ),
        (
            "NTC_STORAGE_PROVIDERS",
            {"s3": {"bucket": "a", "region": "b", "endpoint_url": "minio"}},
            "E001",
        ),
        (
            "NTC_STORAGE_PROVIDERS",
            {"azure": {"connection_string": "AccountName=a", "container": "b"}},
            "E001",
        ),
        ("NTC_STORAGE_PURPOSES", {"avatar": {"types": ["image/png"], "max_bytes": 5}}, "E002"),
        ("NTC_STORAGE_PURPOSES", {"file": {"types": ["image/svg+xml"], "max_bytes": 5}}, "E002"),
        ("NTC_STORAGE_PURPOSES", {"file": {"types": "image/png", "max_bytes": 5}}, "E002"),
        ("NTC_STORAGE_PURPOSES", {"file": {"types": ["image/png"]}}, "E002"),
        ("NTC_STORAGE_PURPOSES", {"file": {"max_bytes": 5}}, "E002"),
        ("NTC_STORAGE_UPLOAD_SECONDS", 0, "E003"),
        ("NTC_STORAGE_UPLOAD_SECONDS", 13 * 60 * 60, "E003"),
        ("NTC_STORAGE_READ_SECONDS", 8 * 24 * 60 * 60, "E003"),
        ("NTC_STORAGE_ORPHAN_HOURS", 1, "E003"),
    ],
)
def test_checks_name_what_is_wrong(settings, name, value, check_id):
    setattr(settings, name, value)

    found = check_settings()

    assert {each.id for each in found} == {f"ntc_storage.{check_id}"}
    assert all(name in each.msg for each in found)


def test_a_long_purpose_is_named(settings):
    settings.NTC_STORAGE_PURPOSES = dict(file_settings.STORAGE_PURPOSES) | {
        "x" * 41: {"types": ["image/png"], "max_bytes": 5}
    }

    assert [each.id for each in check_settings()] == ["ntc_storage.E002"]


def test_all_is_well_by_default_but_a_folder_is_one_machines(settings):
    assert check_settings() == []
    assert [each.id for each in check_deployment()] == ["ntc_storage.W001"]
    settings.NTC_STORAGE_PROVIDERS = {}
    assert check_deployment() == []


WITHOUT_EXTRAS = """
import sys
for name in ("boto3", "botocore", "azure", "storages", "requests", "urllib3"):
    sys.modules[name] = None
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
django.setup()
from django.conf import settings
settings.NTC_STORAGE_PROVIDERS = {
    "local": {"directory": "/x", "base_url": "https://a/b", "signing_key": "k" * 32}
}
from ntc_core.storage import checks, tasks, urls
from ntc_core.storage.providers import azure, s3
assert not checks.check_settings()
"""


def test_nothing_of_the_sdks_is_loaded_where_a_folder_is_used():
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRAS], check=False, capture_output=True, text=True
    )

    assert process.returncode == 0, process.stderr


def test_an_extra_that_is_missing_says_what_to_install():
    with pytest.raises(ValueError, match=r"^no-such-package is not installed\. Install ntc-core"):
        require_installed("no-such-package", extra="s3")
