"""What people agree on about an incident: hand-overs, roles, merging, what follows."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from incidents import services
from incidents.api.incidents import IncidentResource, OfIncident, acting_as, sent_as
from incidents.collaboration import action_items, handovers, merging, postmortems, roles
from incidents.models import ActionItem, IncidentRole, Postmortem
from incidents.people import Actor
from notifications.models import Contact
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import Filters, IdFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource

_ACT = Access("incidents:write", "incidents.change_incident")
_READ = Access("incidents:read", "incidents.view_incident")


def _contacts() -> Any:
    return Contact.objects.filter(is_enabled=True).select_related("user")


class AskSerializer(StrictSerializer):
    """Whom to ask to take over; without `to`, the holder, to hand it over."""

    to = fields.Ids(
        queryset=_contacts(),
        allow_null=True,
        default=None,
        help_text="A contact; null asks the one who has it.",
    )
    comment = fields.Text(
        max_length=handovers.MAX_COMMENT, allow_blank=True, default=""
    )


class MergeSerializer(StrictSerializer):
    """Where it goes on."""

    into = fields.Integer(min_value=1, max_value=2**63 - 1)


class GiveRoleSerializer(StrictSerializer):
    """Who gets which role."""

    role = fields.Choice(choices=IncidentRole.Role.choices)
    to = fields.Ids(
        queryset=_contacts(), allow_null=True, help_text="A contact; null: nobody."
    )


class RoleSerializer(StrictModelSerializer):
    """Who has a role."""

    class Meta:
        model = IncidentRole
        fields = ["role", "contact", "name", "given_at"]
        read_only_fields = fields


class TogetherResource(IncidentResource):
    """What people do to an incident with one another."""

    access: ClassVar = dict.fromkeys(
        ("ask", "accept", "decline", "withdraw", "merge", "give_role"), _ACT
    )

    @extend_schema(request=AskSerializer)
    def ask(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Ask somebody to take over; the acknowledgement stays until they accept."""
        values = sent_as(AskSerializer, request)
        values["to"] = _person(values["to"])
        handovers.ask(incident_id=id, **values, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def accept(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Take over, or hand over, as one was asked. Twice is the same as once."""
        handovers.accept(incident_id=id, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def decline(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Say no to what one was asked."""
        handovers.decline(incident_id=id, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def withdraw(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Take a question back that one has asked."""
        handovers.withdraw(incident_id=id, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=MergeSerializer)
    def merge(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Let an incident go on in another open one; answers that one."""
        values = sent_as(MergeSerializer, request)
        target = merging.merge(
            incident_id=id, into_id=values["into"], **acting_as(request)
        )
        return self.answer(self.one(target.pk))

    @extend_schema(request=GiveRoleSerializer)
    def give_role(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Give somebody a role, or free it."""
        values = sent_as(GiveRoleSerializer, request)
        values["to"] = _person(values["to"])
        roles.give_role(incident_id=id, **values, **acting_as(request))
        return self.answer(self.one(id))


class IncidentRoleResource(OfIncident):
    """Who has which role in an incident."""

    resource = "incident_roles"
    serializer_class = RoleSerializer
    orderings: ClassVar = {"id": "pk"}
    access: ClassVar = {"list": _READ}

    def get_queryset(self) -> QuerySet[IncidentRole]:
        return IncidentRole.objects.filter(incident_id=self.kwargs.get("id", 0))

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """List the roles of an incident."""
        return super().list(request, id)


class PostmortemSerializer(StrictModelSerializer):
    """What happened, why, and what was learned. Each part is Markdown."""

    class Meta:
        model = Postmortem
        fields = [
            "incident",
            "status",
            "due_on",
            "owner_name",
            *[part.name for part in postmortems.PARTS],
            "waived_reason",
            "revision",
            "edited_at",
            "edited_by_name",
            "ended_at",
            "ended_by_name",
        ]
        read_only_fields = fields


class WritePostmortemSerializer(StrictSerializer):
    """The parts to write, and the revision that was read."""

    revision = fields.Integer(min_value=0, max_value=2**31 - 1, required=False)
    summary = fields.Text(allow_blank=True, required=False)
    impact = fields.Text(allow_blank=True, required=False)
    cause = fields.Text(allow_blank=True, required=False)
    response = fields.Text(allow_blank=True, required=False)
    lessons = fields.Text(allow_blank=True, required=False)


class OwnerSerializer(StrictSerializer):
    """Who writes it."""

    to = fields.Ids(queryset=_contacts(), help_text="A contact.")


class WaiveSerializer(StrictSerializer):
    """Why no postmortem is needed."""

    reason = fields.Text(max_length=postmortems.MAX_REASON)


class PostmortemResource(Resource):
    """The postmortem of an incident; 404 while nobody has begun one."""

    resource = "incident_postmortem"
    serializer_class = PostmortemSerializer
    conflicts = (services.UnableToAct,)
    access: ClassVar = {
        "retrieve": Access("incidents:read", "incidents.view_postmortem"),
        **dict.fromkeys(
            ("write", "give", "finish", "waive", "reopen"),
            Access("incidents:write", "incidents.change_postmortem"),
        ),
    }

    def get_queryset(self) -> QuerySet[Postmortem]:
        return Postmortem.objects.all()

    def one(self, number: int) -> Postmortem:
        return self.get_queryset().get(incident=number)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read the postmortem of an incident."""
        return super().retrieve(request, id)

    @extend_schema(request=WritePostmortemSerializer)
    def write(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Write parts of it; begins it. A `revision` that is not the last: 409."""
        values = sent_as(WritePostmortemSerializer, request)
        revision = values.pop("revision", None)
        postmortems.save(
            incident_id=id, parts=values, expected=revision, **acting_as(request)
        )
        return self.answer(self.one(id))

    @extend_schema(request=OwnerSerializer)
    def give(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Say who writes it; begins it."""
        contact = sent_as(OwnerSerializer, request)["to"]
        postmortems.give(
            incident_id=id, to=Actor(contact.user, contact), **acting_as(request)
        )
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def finish(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Declare it written."""
        postmortems.finish(incident_id=id, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=WaiveSerializer)
    def waive(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Decide that none is needed."""
        values = sent_as(WaiveSerializer, request)
        postmortems.waive(incident_id=id, **values, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def reopen(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Open it again."""
        postmortems.reopen(incident_id=id, **acting_as(request))
        return self.answer(self.one(id))


class ActionItemSerializer(StrictModelSerializer):
    """What somebody will change, by when."""

    incident = fields.Ids(read_only=True)
    owner = fields.Ids(
        queryset=_contacts(),
        required=False,
        source="owner_contact",
        help_text="A contact; left out when adding, it is yours.",
    )
    status = fields.Choice(choices=ActionItem.Status.choices, required=False)

    class Meta:
        model = ActionItem
        fields = [
            "id",
            "incident",
            "text",
            "owner",
            "owner_name",
            "due_on",
            "status",
            "created_at",
            "created_by_name",
            "ended_at",
            "ended_by_name",
        ]
        read_only_fields = [
            "owner_name",
            "created_at",
            "created_by_name",
            "ended_at",
            "ended_by_name",
        ]


class AddItemSerializer(StrictSerializer):
    """What will change."""

    text = fields.Text(max_length=action_items.MAX_TEXT)
    due_on = fields.Day()
    owner = fields.Ids(
        queryset=_contacts(), required=False, help_text="A contact; left out: you."
    )


class ActionItemFilters(Filters):
    """Which action items."""

    status = WordFilter(choices=ActionItem.Status.choices)
    incident = IdFilter(field_name="incident_id")
    owner = IdFilter(field_name="owner_contact_id")


class ActionItemResource(Resource):
    """What will change after incidents."""

    resource = "action_items"
    serializer_class = ActionItemSerializer
    filterset_class = ActionItemFilters
    orderings: ClassVar = {"id": "pk"}
    conflicts = (services.UnableToAct,)
    access: ClassVar = {
        "list": Access("incidents:read", "incidents.view_actionitem"),
        "retrieve": Access("incidents:read", "incidents.view_actionitem"),
        "add": Access("incidents:write", "incidents.add_actionitem"),
        "partial_update": Access("incidents:write", "incidents.change_actionitem"),
    }

    def get_queryset(self) -> QuerySet[ActionItem]:
        return ActionItem.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List action items."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read an action item."""
        return super().retrieve(request, id)

    @extend_schema(request=AddItemSerializer, responses={201: ActionItemSerializer})
    @idempotent
    def add(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Add an action item to an incident."""
        values = sent_as(AddItemSerializer, request)
        values["owner"] = _person(values.pop("owner", None))
        item = action_items.add(incident_id=id, **values, **acting_as(request))
        return JsonAnswer(ActionItemSerializer.represent(item), status=201)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change an action item: what the body names."""
        values = self.sent_for(self.one(id))
        status = values.pop("status", None)
        if "owner_contact" in values:
            values["owner"] = _person(values.pop("owner_contact"))
        if values:
            action_items.change(item_id=id, **values, **acting_as(request))
        if status is not None:
            action_items.set_status(item_id=id, status=status, **acting_as(request))
        return self.answer(self.one(id))


def _person(contact: Contact | None) -> Actor | None:
    return Actor(contact.user, contact) if contact is not None else None
