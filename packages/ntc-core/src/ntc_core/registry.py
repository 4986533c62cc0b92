"""Build providers from settings by name. Nobody else imports a concrete provider.

A provider is a plain class whose keyword-only `__init__` is its list of options.
The setting is a dict, one entry per provider:

    NTC_PAYMENT_PROVIDERS = {
        "simulator": {"base_url": "http://127.0.0.1:8001", "api_key": "…"},
        "mine": {"class": "shop.providers.Mine", "token": "…"},
    }

`"class"` may be left out for the providers that the package knows by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from threading import Lock
from typing import Any, Generic, TypeVar, cast

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

__all__ = ["ProviderRegistry", "UnknownProvider"]

ProviderT = TypeVar("ProviderT")


class UnknownProvider(LookupError):
    """No provider of that name is configured."""


class ProviderRegistry(Generic[ProviderT]):
    """The configured providers of one kind, each built once, at its first use."""

    def __init__(self, *, setting: str, base: type[ProviderT], known: Mapping[str, str]) -> None:
        """Args:
        setting: name of the Django setting that holds the dict.
        base: every provider must be a subclass of it.
        known: provider name -> dotted path of its class.
        """
        self.setting = setting
        self.base = base
        self.known = known
        self._built: dict[str, ProviderT] = {}
        self._lock = Lock()
        setting_changed.connect(self._forget, dispatch_uid=f"ntc.registry.{setting}")

    def names(self) -> list[str]:
        """Return the configured names in the order of the setting."""
        return list(self._configuration())

    def get(self, name: str) -> ProviderT:
        """Return the provider of that name.

        Raises:
            UnknownProvider: it is not in the setting.
            ImproperlyConfigured: its class or its options are wrong; the message names them.
        """
        with self._lock:
            if name not in self._built:
                self._built[name] = self._build(name)
            return self._built[name]

    def _configuration(self) -> dict[str, dict[str, Any]]:
        return cast("dict[str, dict[str, Any]]", getattr(django_settings, self.setting, {}))

    def _build(self, name: str) -> ProviderT:
        configuration = self._configuration()
        if name not in configuration:
            raise UnknownProvider(
                f"{self.setting} has no {name!r}. Configured: {', '.join(configuration) or 'none'}."
            )
        options = dict(configuration[name])
        provider_class = self._load_class(name, options.pop("class", None))
        self._require_options(name, provider_class, options)
        try:
            return provider_class(**options)
        except ValueError as error:
            raise ImproperlyConfigured(f"{self.setting}[{name!r}]: {error}") from error

    def _load_class(self, name: str, path: str | None) -> type[ProviderT]:
        path = path or self.known.get(name)
        if path is None:
            raise ImproperlyConfigured(
                f"{self.setting}[{name!r}] has no 'class' and {name!r} is not one of "
                f"{', '.join(self.known)}. Add the dotted path of its class."
            )
        try:
            loaded = import_string(path)
        except ImportError as error:
            raise ImproperlyConfigured(
                f"{self.setting}[{name!r}]: {path!r} cannot be imported: {error}"
            ) from error
        if not (inspect.isclass(loaded) and issubclass(loaded, self.base)):
            raise ImproperlyConfigured(
                f"{self.setting}[{name!r}]: {path!r} is not a subclass of {self.base.__name__}."
            )
        return loaded

    def _require_options(
        self, name: str, provider_class: type[ProviderT], options: Mapping[str, Any]
    ) -> None:
        parameters = inspect.signature(provider_class).parameters.values()
        for parameter in parameters:
            required = parameter.default is inspect.Parameter.empty
            if required and options.get(parameter.name) in (None, ""):
                raise ImproperlyConfigured(
                    f"{self.setting}[{name!r}] has no {parameter.name!r}. "
                    f"Set {name.upper()}_{parameter.name.upper()}; see .env.example."
                )
        allowed = sorted(parameter.name for parameter in parameters)
        for option in options:
            if option not in allowed:
                raise ImproperlyConfigured(
                    f"{self.setting}[{name!r}] has {option!r}, which {provider_class.__name__} "
                    f"does not know. It knows: {', '.join(allowed)}."
                )

    def _forget(self, *, setting: str, **_: Any) -> None:
        if setting == self.setting:
            self._built.clear()
