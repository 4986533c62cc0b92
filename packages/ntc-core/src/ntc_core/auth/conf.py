"""The `NTC_*` settings of sign-in."""

from __future__ import annotations

from collections.abc import Mapping

from ntc_core.conf import AppSettings, core_settings

__all__ = ["AuthSettings", "auth_settings"]

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class AuthSettings(AppSettings):
    """What a project may decide about sessions, tokens and codes."""

    #: The first signs, every one verifies; what a key may be is in `keys`. A secret has at least
    #: 32 bytes. To rotate: `manage.py rotate_jwt_keys`. Empty: only with DEBUG, where a key is
    #: derived from SECRET_KEY.
    JWT_KEYS: tuple[str, ...] = ()
    #: The `iss` and `aud` claims; empty: made from NTC_PROJECT_NAME.
    JWT_ISSUER: str = ""
    JWT_AUDIENCE: str = ""
    #: How far the clocks of two of our machines may differ.
    JWT_LEEWAY_SECONDS: int = 10
    ACCESS_TOKEN_SECONDS: int = 15 * MINUTE
    #: A session that is not refreshed for so long is over.
    REFRESH_TOKEN_SECONDS: int = 14 * DAY
    #: However often it is refreshed, a session ends so long after the sign-in.
    SESSION_SECONDS: int = 90 * DAY
    #: A refresh token that comes a second time so soon after it was spent is a client's own
    #: race and gets the same successor; later it is a theft and ends the session. 0: strict.
    REFRESH_GRACE_SECONDS: int = 10
    #: How old a sign-in `permissions.RecentSignIn` accepts.
    RECENT_SIGN_IN_SECONDS: int = 10 * MINUTE

    #: How long a session that was just checked is believed without asking the database; 0 asks
    #: every time. A session that ends is refused at once all the same, see `session_cache`.
    SESSION_CACHE_SECONDS: int = 0
    #: Entry of CACHES that all processes share.
    SESSION_CACHE: str = "default"

    #: Secret that turns a code's row into its digits; empty: derived from SECRET_KEY.
    CODE_PEPPER: str = ""
    CODE_SECONDS: int = 5 * MINUTE
    CODE_MAX_TRIES: int = 5
    #: The wait before the second code; it doubles with each further one.
    CODE_RESEND_SECONDS: int = 60
    #: Codes for one phone or email address and one purpose.
    CODES_PER_HOUR: int = 5
    CODES_PER_DAY: int = 10
    #: How many of these one network (a /24, in IPv6 a /48) may ask for. Less than all, so
    #: that nobody uses up the codes of somebody else's phone.
    CODES_PER_ASKER_PER_HOUR: int = 3
    CODES_PER_ASKER_PER_DAY: int = 6
    #: Codes that one client address may ask for within an hour.
    CODES_PER_ADDRESS_PER_HOUR: int = 20
    #: Codes by SMS to one country within a day, by the longest prefix that fits, such as
    #: {"+255": 20_000, "+": 50}; a country without a prefix has no limit of its own.
    CODES_PER_COUNTRY_PER_DAY: Mapping[str, int] = {}

    #: How long staff can read what happened to sign-ins.
    AUDIT_KEEP_DAYS: int = 365

    #: Dotted path of the serializer that shows the signed-in user.
    USER_SERIALIZER: str = "ntc_core.auth.serializers.UserOutput"

    @property
    def issuer(self) -> str:
        return self.JWT_ISSUER or core_settings.PROJECT_NAME

    @property
    def audience(self) -> str:
        return self.JWT_AUDIENCE or f"{core_settings.PROJECT_NAME}/api"


auth_settings = AuthSettings()
