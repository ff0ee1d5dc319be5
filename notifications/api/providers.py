"""Accounts at Twilio, OVHcloud and Slack. Their secrets go in and never come out."""

from __future__ import annotations

from typing import ClassVar

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from notifications import editing
from notifications.models import Provider
from notifications.models.provider import provider_kinds
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer
from t4g_portal.lib.api.views import Resource

_READ = Access("notifications:read", "notifications.view_provider")
_MAX_SECRET = 500


class ProviderSerializer(StrictModelSerializer):
    """An account that carries SMS, calls or Slack messages."""

    secret = fields.Text(
        write_only=True,
        required=False,
        allow_blank=True,
        max_length=_MAX_SECRET,
        help_text="Twilio: the auth token. OVHcloud: the application secret. Slack: the"
        " bot token. Never shown again; empty clears it.",
    )
    second_secret = fields.Text(
        write_only=True,
        required=False,
        allow_blank=True,
        max_length=_MAX_SECRET,
        help_text="OVHcloud: the consumer key. Slack: the signing secret. Twilio: none."
        " Never shown again; empty clears it.",
    )
    has_secret = fields.Flag(read_only=True)
    has_second_secret = fields.Flag(read_only=True)

    class Meta:
        model = Provider
        fields = [
            "id",
            "name",
            "kind",
            "position",
            "is_enabled",
            "account",
            "key_id",
            "secret",
            "has_secret",
            "second_secret",
            "has_second_secret",
            "sender",
            "voice_sender",
            "rate_per_s",
        ]


class ProviderFilters(Filters):
    """Which providers."""

    kind = WordFilter(choices=provider_kinds)
    is_enabled = FlagFilter()


class ProviderResource(Resource):
    """Whose accounts carry SMS, calls and Slack messages; the lowest position first."""

    resource = "providers"
    serializer_class = ProviderSerializer
    filterset_class = ProviderFilters
    orderings: ClassVar = {"position": "position", "name": "name", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("notifications:write", "notifications.add_provider"),
        "partial_update": Access(
            "notifications:write", "notifications.change_provider"
        ),
        "destroy": Access("notifications:write", "notifications.delete_provider"),
    }

    def get_queryset(self) -> QuerySet[Provider]:
        return Provider.objects.defer(*Provider.SECRETS).annotate(
            has_secret=~Q(secret=""), has_second_secret=~Q(second_secret="")
        )

    def list(self, request: Request) -> HttpResponse:
        """List providers."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a provider."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a provider."""
        return self.created(editing.create_provider(values=self.sent()).pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a provider: what the body names."""
        editing.change_provider(
            provider_id=id,
            values=self.sent_for(self.one(id)),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a provider. What went through it stays, with its name."""
        editing.delete_provider(provider_id=id, expected=self.expected())
        return HttpResponse(status=204)
