"""Name a device by its User-Agent, well enough for people to recognise their own."""

from __future__ import annotations

__all__ = ["device_label"]

# The first word that is found counts: Edge says Chrome too, and Chrome says Safari.
_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("okhttp", "Android app"),
    ("Dart", "Mobile app"),
    ("CFNetwork", "iOS app"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_LONGEST = 60


def device_label(user_agent: str) -> str:
    """Return "Chrome on Android" or the like; an unknown program's own first word; else ""."""
    unknown = user_agent.partition("/")[0].strip()[:_LONGEST]
    program = _first(_PROGRAMS, user_agent) or unknown
    system = _first(_SYSTEMS, user_agent)
    return f"{program} on {system}" if program and system else program


def _first(names: tuple[tuple[str, str], ...], user_agent: str) -> str:
    return next((name for word, name in names if word in user_agent), "")
