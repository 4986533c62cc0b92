"""Signing up, and changing what belongs to oneself."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.utils import timezone
from ntc_core.auth.errors import CodeInvalid, TokenInvalid
from ntc_core.auth.models import AuthSession, OneTimeCode
from ntc_core.auth.services import issue_code, redeem_code, refuse_code
from ntc_core.errors import InvalidInput
from ntc_core.outbox import enqueue
from ntc_core.storage.models import Upload
from ntc_core.storage.services import attach_upload, discard_upload

from .models import Language, PendingRegistration, User
from .selectors import (
    PASSWORD_RESET,
    address_of,
    find_reset,
    find_user_to_reset,
    is_taken,
    unproven_claims,
)
from .signals import registration_refused

__all__ = [
    "change_password",
    "confirm_password_reset",
    "register",
    "request_password_reset",
    "resend_code",
    "update_user",
    "verify_registration",
]

log = logging.getLogger(__name__)

REGISTRATION = "registration"
#: Long enough for all the codes an hour allows, short enough to forget who never came back.
REGISTRATION_LIFETIME = timedelta(hours=2)


def register(
    *,
    password: str,
    email: str = "",
    phone: str = "",
    full_name: str = "",
    language: str = Language.SWAHILI,
) -> tuple[PendingRegistration, OneTimeCode]:
    """Note who wants to sign up and send a code to the phone, or else to the email address.

    An email address beside a phone is kept as `claimed_email` and is no way to sign in.
    What happens is the same for addresses that have an account, except that its owner gets
    a message without a code. So the answer tells a stranger nothing.

    Raises:
        RateLimited: too many codes for this address.
    """
    registration = PendingRegistration(
        email=email,
        phone=phone,
        password=make_password(password),
        full_name=full_name,
        language=language,
        expires_at=timezone.now() + REGISTRATION_LIFETIME,
    )
    return registration, _send_code(registration)


def resend_code(*, registration_uid: str) -> tuple[PendingRegistration, OneTimeCode]:
    """Send a new code for a registration; the code before stops working.

    Raises:
        InvalidInput: no such registration, or it is over.
        RateLimited: too soon, or too many codes for this address.
    """
    registration = _find_registration(registration_uid)
    if registration is None:
        raise InvalidInput(
            "This registration is over. Register again.",
            code="registration_unknown",
            attr="registration",
        )
    return registration, _send_code(registration)


def verify_registration(*, registration_uid: str, code: str) -> User:
    """Turn the registration into a user, if the code is the one sent for it.

    Raises:
        CodeInvalid: not that code, or the registration is over, or somebody else proved
            the address first. Nobody learns which.
    """
    registration = _find_registration(registration_uid)
    if registration is None:
        refuse_code(purpose=REGISTRATION)
    redeem_code(
        purpose=REGISTRATION,
        destination=registration.destination,
        subject=str(registration.uid),
        code=code,
    )
    try:
        with transaction.atomic():
            user = _create_user(registration)
            registration.delete()
    except IntegrityError:
        refuse_code(purpose=REGISTRATION)
    log.info("account.created", extra={"user": str(user.uid)})
    return user


def update_user(user: User, **fields: Any) -> User:
    """Change what people may say about themselves: `full_name`, `language`, `avatar`.

    The avatar is the uid of an upload of theirs for that purpose, or None. The one before is
    removed.

    Raises:
        InvalidInput: the upload is not theirs, not complete, or used for something else.
        TokenInvalid: the user was deleted meanwhile.
    """
    with transaction.atomic():
        if _lock(user) is None:
            raise TokenInvalid
        if "avatar" in fields:
            fields["avatar"] = _replace_avatar(user, fields["avatar"])
        for name, value in fields.items():
            setattr(user, name, value)
        user.save(update_fields=[*fields, "updated_at"])
    return user


def _replace_avatar(user: User, uid: UUID | None) -> Upload | None:
    """Let go of the present avatar and return the next; the user's row is locked."""
    present = Upload.objects.filter(pk__in=User.objects.filter(pk=user.pk).values("avatar")).first()
    if present is not None and present.uid == uid:
        return present
    chosen = attach_upload(owner=user, uid=uid, purpose="avatar", attr="avatar") if uid else None
    if present is not None:
        discard_upload(present)
    return chosen


def change_password(
    *, user: User, session: AuthSession | None, current_password: str, new_password: str
) -> None:
    """Set a new password and end the user's sessions, except the one that asks.

    Raises:
        InvalidInput: the current password is wrong, or was changed while it was compared.
        TokenInvalid: the user was deleted meanwhile.
    """
    try:
        user.refresh_from_db(fields=["password"])
    except User.DoesNotExist as error:
        raise TokenInvalid from error
    if not user.check_password(current_password):
        raise _password_wrong(user)
    compared = user.password
    user.set_password(new_password)
    with transaction.atomic():
        stored = _lock(user)
        if stored is None:
            raise TokenInvalid
        # Comparing and hashing take a good part of a second. Who knows the old password must not
        # undo with it a change that was made in that time.
        if stored != compared:
            raise _password_wrong(user)
        user.save(update_fields=["password", "updated_at"], except_session=session)


def request_password_reset(*, email: str = "", phone: str = "") -> OneTimeCode:
    """Send a code to the phone, or else to the email address, if an account has proven it.

    The uid of what is returned is known to the one who asks alone: the code is worth nothing
    without it, and nobody else can use up its tries. The sending is a job's, which is made in
    every case: the time of the answer tells no more than its text.

    Raises:
        RateLimited: too many codes; also where there is no account.
    """
    user = find_user_to_reset(email=email, phone=phone)
    return issue_code(
        purpose=PASSWORD_RESET,
        destination=phone or email,
        channel="sms" if phone else "email",
        # Of its own, so that nobody who asks later makes this code worthless.
        subject=str(uuid4()),
        user=user,
        context={"language": user.language if user else Language.SWAHILI},
        announce=False,
        alongside=lambda challenge: enqueue("accounts.announce_password_reset", challenge.pk),
    )


def confirm_password_reset(*, reset_uid: UUID, code: str, new_password: str) -> User:
    """Set a new password and end every session of the user.

    Raises:
        CodeInvalid: not the code that was sent for this reset, or the address is not that
            account's any more, or never was anybody's.
    """
    reset = find_reset(uid=reset_uid)
    if reset is None:
        refuse_code(purpose=PASSWORD_RESET)
    redeem_code(
        purpose=PASSWORD_RESET, destination=reset.destination, subject=reset.subject, code=code
    )
    user = find_user_to_reset(**address_of(reset))
    if user is None or user.pk != reset.user_id:
        refuse_code(purpose=PASSWORD_RESET, user=reset.user)
    user.set_password(new_password)
    with transaction.atomic():
        if _lock(user) is None:
            raise CodeInvalid(attr="code")
        user.save(update_fields=["password", "updated_at"])
    return user


def _lock(user: User) -> str | None:
    """Lock the user's row and return the hash it holds now; None if it was deleted meanwhile."""
    people = User.objects.select_for_update(no_key=True).filter(pk=user.pk)
    return people.values_list("password", flat=True).first()


def _password_wrong(user: User) -> InvalidInput:
    log.warning("account.password_change_refused", extra={"user": str(user.uid)})
    return InvalidInput(
        "This is not your present password.", code="password_wrong", attr="current_password"
    )


def _find_registration(uid: str) -> PendingRegistration | None:
    return PendingRegistration.objects.filter(uid=uid, expires_at__gt=timezone.now()).first()


def _send_code(registration: PendingRegistration) -> OneTimeCode:
    """Send a code for the registration, and store that with it if it is new."""
    taken = is_taken(phone=registration.phone, email=registration.email)

    def store(challenge: OneTimeCode) -> None:
        if registration.pk is None:
            registration.save()
        if taken:
            registration_refused.send(
                sender=PendingRegistration, registration=registration, challenge=challenge
            )

    return issue_code(
        purpose=REGISTRATION,
        destination=registration.destination,
        channel=registration.channel,
        subject=str(registration.uid),
        context={"language": registration.language},
        announce=not taken,
        alongside=store,
    )


def _create_user(registration: PendingRegistration) -> User:
    """Store the user with the address that got the code; a second one is only noted as claimed."""
    phone = registration.phone
    email = "" if phone else registration.email
    now = timezone.now()
    holders = User.objects.filter(unproven_claims(phone=phone, email=email))
    holders.update(**{"phone" if phone else "email": None}, updated_at=now)
    return User.objects.create(
        phone=phone or None,
        email=email or None,
        claimed_email=registration.email if phone else "",
        password=registration.password,
        full_name=registration.full_name,
        language=registration.language,
        phone_verified_at=now if phone else None,
        email_verified_at=now if email else None,
    )
