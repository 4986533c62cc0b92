"""Sessions, the refresh tokens they gave out, and one-time codes.

No row holds anything somebody could sign in with.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from ntc_core.models import BaseModel

__all__ = [
    "AuditEvent",
    "AuthSession",
    "EndReason",
    "OneTimeCode",
    "RefreshRecord",
    "new_nonce",
]


class EndReason(models.TextChoices):
    """Why a session ended before its time."""

    LOGOUT = "logout", "Signed out"
    LOGOUT_ALL = "logout_all", "Signed out everywhere"
    PASSWORD_CHANGED = "password_changed", "The password was changed"
    STAFF = "staff", "Ended by staff"
    DEVICE = "device", "Ended from another device"
    REPLACED = "replaced", "The same browser signed in again"
    REUSE = "reuse", "A spent refresh token came back"


class AuthSession(BaseModel):
    """A signed-in device: the family of all tokens that descend from one sign-in."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="auth_sessions"
    )
    authenticated_at = models.DateTimeField(
        default=timezone.now, help_text="When the user proved who they are: `auth_time`."
    )
    last_used_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True, help_text="Fixed at sign-in.")
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=20, choices=EndReason, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    ip_prefix = models.CharField(max_length=43, blank=True, help_text="Network of the sign-in.")

    class Meta:
        verbose_name = "session"

    def __str__(self) -> str:
        return str(self.uid)

    @property
    def is_live(self) -> bool:
        """Tell whether its tokens may still be used."""
        return self.revoked_at is None and self.expires_at > timezone.now()


class RefreshRecord(models.Model):
    """One refresh token of a session, by the SHA-256 of its `jti`, and when it was spent.

    The id of the token that follows is derived from the one before (`tokens.next_jti`), so
    who brings a spent token lets us find, and sign again, exactly the successor it had.
    """

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(AuthSession, on_delete=models.CASCADE, related_name="refreshes")
    jti_hash = models.CharField(max_length=64, unique=True)
    issued_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return str(self.pk)


def new_nonce() -> bytes:
    """Return the random half of a code."""
    return secrets.token_bytes(32)


class OneTimeCode(BaseModel):
    """A challenge: somebody must bring back the digits we sent to `destination`.

    The digits are not here. They are an HMAC of this row under the server's pepper, so
    who reads the database learns no code, and who must send one can still compute it.
    """

    purpose = models.CharField(max_length=40)
    destination = models.CharField(max_length=254, help_text="E.164 phone or email address.")
    channel = models.CharField(max_length=5, choices=[("sms", "SMS"), ("email", "Email")])
    subject = models.CharField(max_length=64, blank=True, help_text="The one thing it confirms.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    nonce = models.BinaryField(max_length=32, default=new_nonce)
    context = models.JSONField(default=dict, blank=True)
    expires_at = models.DateTimeField(db_index=True)
    resend_at = models.DateTimeField(help_text="Before that, no further code for the same subject.")
    tries = models.PositiveSmallIntegerField(default=0)
    max_tries = models.PositiveSmallIntegerField()
    used_at = models.DateTimeField(null=True, blank=True)
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # A new code kills the old one for the same thing: two at a time cannot exist.
            models.UniqueConstraint(
                fields=["purpose", "destination", "subject"],
                condition=models.Q(used_at__isnull=True, superseded_at__isnull=True),
                name="ntc_auth_one_open_code",
            ),
            models.CheckConstraint(
                condition=models.Q(tries__lte=models.F("max_tries")), name="ntc_auth_code_tries"
            ),
        ]
        indexes = [
            models.Index(fields=["destination", "created_at"], name="ntc_auth_code_destination")
        ]

    def __str__(self) -> str:
        return str(self.uid)

    def is_redeemable(self, *, at: datetime) -> bool:
        """Tell whether the right digits would be accepted at that moment."""
        is_open = self.used_at is None and self.superseded_at is None
        return is_open and self.expires_at > at and self.tries < self.max_tries


class AuditQuerySet(models.QuerySet["AuditEvent"]):
    """Rows are added, read and, when they are old, purged."""

    def update(self, **_: Any) -> int:
        raise TypeError("An audit event is never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise TypeError("An audit event is never deleted; the recurring job purges old ones.")

    def purge(self, *, before: datetime, batch: int) -> int:
        """Remove up to `batch` of the oldest rows; return how many there were."""
        old = self.filter(created_at__lt=before).order_by("created_at")
        keys = list(old.values_list("pk", flat=True)[:batch])
        # Without the collector, which looks for rows that point here: none does.
        return self.filter(pk__in=keys)._raw_delete(self.db)  # noqa: SLF001 - and delete() refuses


class AuditEvent(models.Model):
    """Something that happened to somebody's sign-in; written once, for staff to read."""

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    event = models.CharField(max_length=60)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,  # the index with the time begins with it
    )
    # Outlives the user.
    subject = models.CharField(max_length=64, blank=True, help_text="The user's public id.")
    session_uid = models.UUIDField(null=True)
    ip_prefix = models.CharField(max_length=43, blank=True, help_text="Network of the caller.")
    user_agent = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    details = models.JSONField(default=dict, help_text="Secrets and people are masked.")

    objects = AuditQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="ntc_auth_audit_created"),
            models.Index(fields=["user", "-created_at"], name="ntc_auth_audit_user"),
            models.Index(fields=["event", "-created_at"], name="ntc_auth_audit_event"),
            models.Index(
                fields=["session_uid"],
                name="ntc_auth_audit_session",
                condition=models.Q(session_uid__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.event

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the row; there is no changing it."""
        if not self._state.adding:
            raise TypeError("An audit event is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("An audit event is never deleted; the recurring job purges old ones.")
