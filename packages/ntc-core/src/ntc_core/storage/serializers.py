"""What the endpoints of files take and give."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from ntc_core.fields import StrictIntegerField, TextField
from ntc_core.serializers import StrictSerializer
from ntc_core.storage.conf import DEFAULT_PURPOSE
from ntc_core.storage.models import Upload
from ntc_core.storage.selectors import make_read_link

__all__ = ["NewUploadOutput", "UploadInput", "UploadOutput"]


class UploadInput(StrictSerializer):
    """A file that a client wants to send. Name, type and size are claims, and are checked."""

    filename = TextField(max_length=255, help_text="What it is saved as; a folder is left out.")
    content_type = TextField(max_length=100)
    size = StrictIntegerField(min_value=1, max_value=2**53 - 1, help_text="Bytes, exactly.")
    purpose = TextField(
        max_length=40,
        required=False,
        default=DEFAULT_PURPOSE,
        help_text="What it is for; each purpose has its types and its largest size.",
    )


class UploadOutput(serializers.ModelSerializer[Upload]):
    """An upload, as its owner sees it."""

    state = serializers.ChoiceField(choices=["pending", "stored", "attached", "refused"])
    url = serializers.SerializerMethodField(
        help_text="Shows the file until `url_expires_at`; null: there is none."
    )
    url_expires_at = serializers.SerializerMethodField()

    class Meta:
        model = Upload
        fields: tuple[str, ...] = (
            "uid",
            "purpose",
            "state",
            "filename",
            "content_type",
            "size",
            "created_at",
            "url",
            "url_expires_at",
        )
        read_only_fields = fields

    def to_representation(self, instance: Upload) -> Any:
        # Once for both fields: they belong together.
        self._link = make_read_link(instance)
        return super().to_representation(instance)

    def get_url(self, _: Upload) -> str | None:
        return self._link.url if self._link else None

    def get_url_expires_at(self, _: Upload) -> str | None:
        field = serializers.DateTimeField()
        return field.to_representation(self._link.expires_at) if self._link else None


class SendOutput(serializers.Serializer[Any]):
    """The request that brings the bytes: this method, this address, these headers, the bytes."""

    method = serializers.CharField()
    url = serializers.CharField(help_text="Takes the file once. A secret while it lasts.")
    headers = serializers.DictField(
        child=serializers.CharField(), help_text="To be sent exactly so."
    )
    expires_at = serializers.DateTimeField()


class NewUploadOutput(UploadOutput):
    """An upload, and how to send it."""

    send = SendOutput()

    class Meta(UploadOutput.Meta):
        fields = (*UploadOutput.Meta.fields, "send")
        read_only_fields = fields
