"""People in the admin. Staff sign in there with an email address or a phone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import (
    AdminUserCreationForm,
    UserChangeForm,
    UsernameField,
)
from django.http import HttpRequest
from ntc_core.auth.admin import EndSessionsMixin
from ntc_core.auth.guards import guard_login
from ntc_core.errors import RateLimited
from ntc_core.phone import InvalidPhone, parse_phone

from .models import User

__all__ = ["UserAdmin"]


class LoginForm(AdminAuthenticationForm):
    """Django's form would ask for the email address only by name."""

    username = UsernameField(
        label="Email or phone", widget=forms.TextInput(attrs={"autofocus": True})
    )

    def clean(self) -> dict[str, Any]:
        """Limit guesses as the API does: they are the same passwords.

        Raises:
            ValidationError: wrong, or too many tries.
        """
        identifier = self.cleaned_data.get("username") or ""
        try:
            with guard_login(
                identifier=identifier, request=self.request, failure=forms.ValidationError
            ):
                return super().clean()
        except RateLimited as error:
            raise forms.ValidationError(error.message, code=error.code) from error


POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")

admin.site.login_form = LoginForm


class PhoneFormMixin:
    """Takes every spelling of a phone."""

    cleaned_data: dict[str, Any]

    def clean_phone(self) -> str | None:
        phone = self.cleaned_data["phone"]
        if not phone:
            return None
        try:
            return parse_phone(phone)
        except InvalidPhone as error:
            raise forms.ValidationError(str(error)) from error


class UserAddForm(PhoneFormMixin, AdminUserCreationForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = User
        fields = ("email", "phone")


class UserEditForm(PhoneFormMixin, UserChangeForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(EndSessionsMixin, DjangoUserAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    form = UserEditForm
    add_form = UserAddForm
    list_display = ("__str__", "phone", "email", "is_active", "is_staff", "created_at")
    list_filter = ("is_active", "is_staff", "is_superuser", "groups", "language")
    search_fields = ("email", "phone", "full_name", "uid")
    ordering = ("-created_at",)
    actions = ("end_sessions",)
    readonly_fields = ("uid", "claimed_email", "last_login", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("uid", "full_name", "language", "password")}),
        (
            "Addresses",
            {
                "fields": (
                    "email",
                    "email_verified_at",
                    "claimed_email",
                    "phone",
                    "phone_verified_at",
                )
            },
        ),
        (
            "Permissions",
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        ("Dates", {"fields": ("last_login", "created_at", "updated_at")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "phone", "usable_password", "password1", "password2"),
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Let only superusers hand out powers, or anybody who edits people could take them."""
        readonly = tuple(super().get_readonly_fields(request, obj))
        return readonly if request.user.is_superuser else (*readonly, *POWERS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep members of staff, and their passwords, for superusers to change."""
        if obj is not None and (obj.is_staff or obj.is_superuser) and not request.user.is_superuser:
            return False
        return super().has_change_permission(request, obj)
