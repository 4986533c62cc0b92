"""What a project's user model mixes in so that sessions end when they must.

    class User(SessionUserMixin, AbstractUser):
        pass

Whoever saves a user with another password, or switches one off, ends every session of theirs:
a form of the admin, `manage.py changepassword`, a shell, a service. Not seen are
`QuerySet.update()` and `bulk_update()`, which save no user: call `services.sign_out_everywhere()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.contrib.auth.hashers import acheck_password, check_password, make_password
from django.db import models, router, transaction
from django.db.models import F

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser as _Base
    from django.db.models import QuerySet

    from ntc_core.auth.models import AuthSession
else:
    _Base = models.Model

__all__ = ["SessionUserMixin", "end_django_sessions"]

WATCHED = {"password", "is_active", "session_epoch"}


class SessionUserMixin(_Base):
    """Ends the sessions of a user whose password changes or who is switched off.

    Put it before `AbstractUser` or `AbstractBaseUser`. It adds one column, which goes into the
    hash that Django compares in its own sessions, the admin's. To end those is to count it up.
    """

    # The database's default too: processes of the release before may still add people.
    session_epoch = models.PositiveIntegerField(default=0, db_default=0, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, except_session: AuthSession | None = None, **kwargs: Any) -> None:
        """Save, and end the sessions if that is what the change asks for, in one transaction.

        Args:
            except_session: goes on all the same, such as that of the device which sets a new
                password.
        """
        written = self._written_of_watched(kwargs.get("update_fields"))
        if self._state.adding or not written:
            super().save(*args, **kwargs)
            return
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using):
            people = type(self)._base_manager.using(using)  # noqa: SLF001 - Django's documented name
            # Compared with what is stored now: the instance may have been read long ago.
            row = people.select_for_update(no_key=True).filter(pk=self.pk)
            stored = row.values(*WATCHED).first() or {}
            # Or a copy that was read earlier would bring ended sessions back.
            self.session_epoch = stored.get("session_epoch", self.session_epoch)
            super().save(*args, **kwargs)
            changed = {
                name for name in written & stored.keys() if stored[name] != getattr(self, name)
            }
            self._end_sessions(changed, except_session=except_session)

    def check_password(self, raw_password: str | None) -> bool:
        """Compare; a hash of an older kind is made anew, which is no change of the password."""
        return check_password(raw_password, self.password, self._upgrade_hash)

    async def acheck_password(self, raw_password: str | None) -> bool:
        """See `check_password`."""
        return await acheck_password(raw_password, self.password, sync_to_async(self._upgrade_hash))

    def get_session_auth_hash(self) -> str:
        """Return what Django's sessions must hold to count: of the password and the epoch."""
        return f"{super().get_session_auth_hash()}.{self.session_epoch}"

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Return the same under the SECRET_KEYs before this one."""
        for known in super().get_session_auth_fallback_hash():
            yield f"{known}.{self.session_epoch}"

    def _written_of_watched(self, update_fields: Iterable[str] | None) -> set[str]:
        written = WATCHED - self.get_deferred_fields()
        return written if update_fields is None else written.intersection(update_fields)

    def _end_sessions(self, changed: set[str], *, except_session: AuthSession | None) -> None:
        from ntc_core.auth import services  # noqa: PLC0415 - needs the models
        from ntc_core.auth.models import EndReason  # noqa: PLC0415 - likewise

        if "password" in changed:
            services.withdraw_codes(user=self)
            services.sign_out_everywhere(
                user=self, except_session=except_session, reason=EndReason.PASSWORD_CHANGED
            )
        elif "is_active" in changed and not self.is_active:
            services.sign_out_everywhere(user=self, reason=EndReason.STAFF)

    def _upgrade_hash(self, raw_password: str) -> None:
        """Store the new hash, unless the password was changed while this one was compared."""
        known, self.password = self.password, make_password(raw_password)
        people: QuerySet[Any] = type(self)._base_manager.all()  # noqa: SLF001 - Django's documented name
        people.filter(pk=self.pk, password=known).update(password=self.password)


def end_django_sessions(user: Any) -> None:
    """End the user's sessions of Django itself, the admin's, where the model can: see the mixin."""
    if isinstance(user, SessionUserMixin):
        person = type(user)._base_manager.filter(pk=user.pk)  # noqa: SLF001 - Django's documented name
        if person.update(session_epoch=F("session_epoch") + 1):
            user.refresh_from_db(fields=["session_epoch"])
