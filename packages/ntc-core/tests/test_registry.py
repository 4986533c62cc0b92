"""Providers are built from settings by name, once, or the settings are told what is wrong."""

from __future__ import annotations

import threading

import pytest
from django.core.exceptions import ImproperlyConfigured
from ntc_core.registry import ProviderRegistry, UnknownProvider


class Provider:
    """What the package offers."""

    built = 0

    def __init__(self, *, base_url: str, api_key: str, timeout_seconds: float = 15) -> None:
        if not base_url.startswith("http"):
            raise ValueError("base_url has to start with http.")
        type(self).built += 1
        self.base_url = base_url
        self.timeout_seconds = timeout_seconds


class Other(Provider):
    """What a project adds."""


class Stranger:
    """Not a provider."""


HERE = "tests.test_registry"
GOOD = {"base_url": "http://127.0.0.1:1", "api_key": "invented"}


@pytest.fixture
def registry(settings) -> ProviderRegistry[Provider]:
    settings.NTC_TEST_PROVIDERS = {
        "known": GOOD,
        "mine": {**GOOD, "class": f"{HERE}.Other", "timeout_seconds": 3},
    }
    return ProviderRegistry(
        setting="NTC_TEST_PROVIDERS", base=Provider, known={"known": f"{HERE}.Provider"}
    )


def test_providers_are_named_in_the_order_of_the_setting(registry):
    assert registry.names() == ["known", "mine"]


def test_known_provider_is_built_from_its_options(registry):
    provider = registry.get("known")

    assert type(provider) is Provider
    assert (provider.base_url, provider.timeout_seconds) == ("http://127.0.0.1:1", 15)


def test_own_class_of_a_project_is_built(registry):
    provider = registry.get("mine")

    assert type(provider) is Other
    assert provider.timeout_seconds == 3


def test_provider_is_built_once_even_by_many_threads(registry):
    Provider.built = 0
    threads = [threading.Thread(target=registry.get, args=["known"]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Provider.built == 1
    assert registry.get("known") is registry.get("known")


def test_changed_setting_builds_anew(registry, settings):
    before = registry.get("known")

    settings.NTC_OTHER = {}
    assert registry.get("known") is before
    settings.NTC_TEST_PROVIDERS = {"known": {**GOOD, "base_url": "http://127.0.0.1:2"}}

    assert registry.get("known").base_url == "http://127.0.0.1:2"


def test_missing_setting_means_no_providers():
    registry = ProviderRegistry(setting="NTC_NOT_SET", base=Provider, known={})

    assert registry.names() == []
    with pytest.raises(UnknownProvider, match=r"NTC_NOT_SET has no 'known'\. Configured: none"):
        registry.get("known")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_url": "http://x"}, r"has no 'api_key'\. Set KNOWN_API_KEY; see \.env\.example"),
        ({**GOOD, "api_key": ""}, "has no 'api_key'"),
        ({**GOOD, "api_key": None}, "has no 'api_key'"),
        ({**GOOD, "colour": "red"}, r"'colour', which Provider does not know\. It knows: api_key"),
        ({**GOOD, "class": "no.such.module.Thing"}, "'no.such.module.Thing' cannot be imported"),
        ({**GOOD, "class": f"{HERE}.Nothing"}, "cannot be imported"),
        ({**GOOD, "class": f"{HERE}.Stranger"}, "is not a subclass of Provider"),
        ({**GOOD, "class": f"{HERE}.HERE"}, "is not a subclass of Provider"),
        ({**GOOD, "base_url": "ftp://x"}, "base_url has to start with http"),
    ],
)
def test_wrong_options_name_the_setting_and_what_to_do(registry, settings, options, message):
    settings.NTC_TEST_PROVIDERS = {"known": options}

    with pytest.raises(
        ImproperlyConfigured, match=rf"NTC_TEST_PROVIDERS\['known'\].*{message}"
    ) as e:
        registry.get("known")

    assert "invented" not in str(e.value)


def test_name_that_the_package_does_not_know_needs_a_class(registry, settings):
    settings.NTC_TEST_PROVIDERS = {"new": GOOD}

    with pytest.raises(ImproperlyConfigured, match=r"\['new'\] has no 'class'.*one of known"):
        registry.get("new")
