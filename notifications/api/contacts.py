"""Contacts with their addresses and rules. Their proofs can be read, never written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from notifications import people
from notifications.models import Contact
from notifications.models.contact import MAX_DELAY_S, address_kinds, method_kinds
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.priority import Priority

_READ = Access("notifications:read", "notifications.view_contact")
_MAX_RULES = 40


class AddressSerializer(StrictSerializer):
    """One way to reach a contact. It counts once its person has proved it."""

    kind = fields.Choice(choices=address_kinds())
    value = fields.Text(
        max_length=254,
        help_text="A phone number with its country code, an e-mail address, or the"
        " member ID of Slack. Another value has to be proved anew.",
    )
    is_enabled = fields.Flag(default=True)
    is_verified = fields.Flag(read_only=True)


class RuleSerializer(StrictSerializer):
    """How the contact wishes to be told of a priority."""

    priority = fields.Choice(choices=Priority.choices)
    method = fields.Choice(choices=method_kinds())
    delay_s = fields.Integer(
        default=0, min_value=0, max_value=MAX_DELAY_S, help_text="After the page."
    )


class ContactSerializer(StrictModelSerializer):
    """A person or a shared mailbox or phone."""

    language = fields.Choice(
        choices=Contact._meta.get_field("language").choices or [],
        required=False,
        allow_blank=True,
        help_text="Empty: the portal's.",
    )
    addresses = AddressSerializer(  # type: ignore[call-arg]
        many=True, required=False, max_length=people.MAX_ADDRESSES
    )
    rules = RuleSerializer(  # type: ignore[call-arg]
        many=True,
        required=False,
        max_length=_MAX_RULES,
        help_text="Without any for a priority, the usual way is taken.",
    )

    class Meta:
        model = Contact
        fields = [
            "id",
            "name",
            "language",
            "time_zone",
            "is_enabled",
            "is_catch_all",
            "addresses",
            "rules",
        ]
        # The domain says which contact has it already.
        validators: ClassVar[list[Any]] = []


class ContactFilters(Filters):
    """Which contacts."""

    is_enabled = FlagFilter()
    is_catch_all = FlagFilter()


class ContactResource(Resource):
    """Who can be told, where, and how they wish to be told."""

    resource = "contacts"
    serializer_class = ContactSerializer
    filterset_class = ContactFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("notifications:write", "notifications.add_contact"),
        "partial_update": Access("notifications:write", "notifications.change_contact"),
        "destroy": Access("notifications:write", "notifications.delete_contact"),
    }

    def get_queryset(self) -> QuerySet[Contact]:
        return Contact.objects.prefetch_related("addresses__verification", "rules")

    def list(self, request: Request) -> HttpResponse:
        """List contacts with their addresses and rules."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a contact with its addresses and rules."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a contact. Its addresses count once its person has proved them."""
        values, parts = _apart(self.sent())
        contact = people.create_contact(
            values=values,
            addresses=parts.get("addresses") or (),
            rules=parts.get("rules") or (),
        )
        return self.created(contact.pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a contact: what the body names. Lists are replaced as a whole.

        An address that stays in the list keeps its proof.
        """
        values, parts = _apart(self.sent_for(self.one(id)))
        people.change_contact(
            contact_id=id,
            values=values,
            addresses=parts.get("addresses"),
            rules=parts.get("rules"),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a contact. What was said to it, and what it did, stays."""
        people.delete_contact(contact_id=id, expected=self.expected())
        return HttpResponse(status=204)


def _apart(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tell the columns of a contact from its two lists."""
    names = {"addresses", "rules"}
    return (
        {name: value for name, value in values.items() if name not in names},
        {name: value for name, value in values.items() if name in names},
    )
