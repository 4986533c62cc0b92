"""What the API takes and gives."""

from __future__ import annotations

from typing import Any

from ntc_core.fields import StrictBooleanField, TextField
from ntc_core.serializers import StrictSerializer
from rest_framework import serializers

from ntc_notify.models import InboxItem
from ntc_notify.types import Channel, Choice

__all__ = [
    "InboxInput",
    "InboxItemOutput",
    "PreferenceOutput",
    "PreferencesInput",
    "ReadAllOutput",
    "UnsubscribedOutput",
]

LONGEST_PREFERENCES = 500


class InboxInput(serializers.Serializer[Any]):
    """Which items."""

    unread = serializers.BooleanField(
        required=False, default=False, help_text="Only those that nobody has read."
    )


class InboxItemOutput(serializers.ModelSerializer[InboxItem]):
    """A message in the inbox."""

    is_read = serializers.SerializerMethodField()

    class Meta:
        model = InboxItem
        fields = ("uid", "kind", "title", "body", "is_read", "read_at", "created_at")
        read_only_fields = fields

    def get_is_read(self, item: InboxItem) -> bool:
        """Tell whether it was read."""
        return item.read_at is not None


class ReadAllOutput(serializers.Serializer[Any]):
    """How many items were unread."""

    read = serializers.IntegerField(min_value=0)


class PreferenceOutput(serializers.Serializer[Any]):
    """One kind on one channel, and whether the caller gets it."""

    kind = serializers.CharField()
    channel = serializers.ChoiceField(choices=[(each.value, each.value) for each in Channel])
    is_on = StrictBooleanField()
    choice = serializers.ChoiceField(
        choices=[(each.value, each.value) for each in Choice],
        help_text='"forced": sent whatever the caller says, so it cannot be set.',
    )


class _PreferenceInput(StrictSerializer):
    kind = TextField(max_length=64)
    channel = serializers.ChoiceField(choices=[(each.value, each.value) for each in Channel])
    is_on = StrictBooleanField()


class PreferencesInput(StrictSerializer):
    """What the caller wants from now on; what is left out stays."""

    preferences = serializers.ListField(
        child=_PreferenceInput(), min_length=1, max_length=LONGEST_PREFERENCES, allow_empty=False
    )


class UnsubscribedOutput(serializers.Serializer[Any]):
    """What is not sent any more."""

    kind = serializers.CharField()
    channel = serializers.CharField()
