"""Channels. A secret goes in and never comes out."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from notifications import editing
from notifications.models import Channel
from notifications.models.channel import channel_kinds
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer
from t4g_portal.lib.api.views import Resource

_READ_CHANNELS = Access("notifications:read", "notifications.view_channel")


class ChannelSerializer(StrictModelSerializer):
    """A shared destination."""

    secret = fields.Text(
        write_only=True,
        required=False,
        allow_blank=True,
        max_length=2000,
        help_text="Slack: the webhook URL. Signed webhook: its signing secret. Never"
        " shown again; empty clears it.",
    )
    has_secret = fields.Flag(read_only=True)

    class Meta:
        model = Channel
        fields = [
            "id",
            "name",
            "kind",
            "address",
            "secret",
            "has_secret",
            "language",
            "is_enabled",
        ]


class ChannelFilters(Filters):
    """Which channels."""

    kind = WordFilter(choices=channel_kinds)
    is_enabled = FlagFilter()


class ChannelResource(Resource):
    """Shared destinations of messages."""

    resource = "channels"
    serializer_class = ChannelSerializer
    filterset_class = ChannelFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _READ_CHANNELS,
        "retrieve": _READ_CHANNELS,
        "create": Access("notifications:write", "notifications.add_channel"),
        "partial_update": Access("notifications:write", "notifications.change_channel"),
        "destroy": Access("notifications:write", "notifications.delete_channel"),
    }

    def get_queryset(self) -> QuerySet[Channel]:
        return Channel.objects.defer("secret").annotate(has_secret=~Q(secret=""))

    def list(self, request: Request) -> HttpResponse:
        """List channels."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a channel."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a channel."""
        return self.created(editing.create_channel(values=self.sent()).pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a channel: what the body names."""
        editing.change_channel(
            channel_id=id,
            values=self.sent_for(self.one(id)),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a channel that no message names."""
        editing.delete_channel(channel_id=id, expected=self.expected())
        return HttpResponse(status=204)
