"""Incidents: read, and acted on through the same services as the page's buttons."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from incidents import services, timeline
from incidents.models import Alert, Incident, IncidentEvent
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import (
    Filters,
    FlagFilter,
    IdFilter,
    MomentFilter,
    TextFilter,
    WordFilter,
)
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.priority import Priority

_READ = Access("incidents:read", "incidents.view_incident")
_ACT = Access("incidents:write", "incidents.change_incident")


class IncidentSerializer(StrictModelSerializer):
    """One problem of one service."""

    acknowledged_by = fields.Text(
        read_only=True, source="holder", help_text="A name; empty: nobody."
    )
    resolved_by = fields.Text(
        read_only=True, source="resolver", help_text="A name; empty: its alerts ended."
    )
    is_on_status_page = fields.Flag(read_only=True)

    class Meta:
        model = Incident
        fields = [
            "id",
            "service",
            "title",
            "priority",
            "is_priority_pinned",
            "status",
            "started_at",
            "opened_at",
            "response_due_at",
            "response_missed_at",
            "acknowledged_at",
            "acknowledged_by",
            "resolved_at",
            "resolved_by",
            "snoozed_until",
            "is_flapping",
            "is_untold",
            "has_empty_step",
            "is_drill",
            "short_code",
            "ack_expires_at",
            "next_escalation_at",
            "merged_into",
            "is_on_status_page",
            "public_message",
        ]
        read_only_fields = fields


class IncidentFilters(Filters):
    """Which incidents."""

    is_open = FlagFilter(method="that_are_open")
    status = WordFilter(choices=Incident.Status.choices)
    priority = WordFilter(choices=Priority.choices)
    service = IdFilter(field_name="service_id")
    opened_since = MomentFilter(field_name="opened_at", lookup_expr="gte")
    opened_until = MomentFilter(field_name="opened_at", lookup_expr="lt")
    title = TextFilter(lookup_expr="icontains", label="Part of the title")

    def that_are_open(
        self, queryset: QuerySet[Incident], name: str, value: bool
    ) -> QuerySet[Incident]:
        """Leave those that somebody may have to act on, or the others."""
        resolved = Incident.Status.RESOLVED
        if value:
            return queryset.exclude(status=resolved)
        return queryset.filter(status=resolved)


class ResolveSerializer(StrictSerializer):
    """How to resolve."""

    even_if_firing = fields.Flag(
        default=False, help_text="Close the alerts that still fire, too."
    )


class SnoozeSerializer(StrictSerializer):
    """Until when to keep quiet: a week ahead at most."""

    until = fields.Moment()


class PrioritySerializer(StrictSerializer):
    """Which priority it should have; alerts no longer change it."""

    priority = fields.Choice(choices=Priority.choices)


class PublicSerializer(StrictSerializer):
    """What users should know."""

    message = fields.Text(
        allow_blank=True,
        default="",
        max_length=services.MAX_PUBLIC_MESSAGE,
        help_text="Stands on the status page as it is; empty takes it back.",
    )
    is_public = fields.Flag(
        default=True, help_text="False takes the incident off the status page."
    )


class NoteSerializer(StrictSerializer):
    """What somebody saw or did."""

    text = fields.Text(max_length=services.MAX_NOTE)


class EventSerializer(StrictSerializer):
    """One line of the timeline."""

    id = fields.Integer(read_only=True)
    at = fields.Moment(read_only=True)
    kind = fields.Choice(choices=IncidentEvent.Kind.choices, read_only=True)
    sentence = fields.Text(read_only=True, help_text="In the reader's language.")
    text = fields.Text(read_only=True, help_text="A note, or an alert's words.")
    who = fields.Text(read_only=True, help_text="A name; empty: the portal itself.")
    via = fields.Choice(choices=IncidentEvent.Via.choices, read_only=True)
    key = fields.Text(read_only=True, help_text="The API key's name, if by one.")

    @classmethod
    def represent(cls, row: IncidentEvent) -> dict[str, Any]:
        """Return a line with its sentence."""
        return {
            "id": row.pk,
            "at": fields.write_moment(row.at),
            "kind": row.kind,
            "sentence": timeline.sentence(event=row),
            "text": row.text,
            "who": row.who,
            "via": row.via,
            "key": row.data.get("key", ""),
        }


class AlertSerializer(StrictModelSerializer):
    """One firing condition, or one that was."""

    class Meta:
        model = Alert
        fields = [
            "id",
            "dedup_key",
            "title",
            "detail",
            "priority",
            "status",
            "source",
            "started_at",
            "triggered_at",
            "last_triggered_at",
            "trigger_count",
            "resolved_at",
        ]
        read_only_fields = fields


class IncidentResource(Resource):
    """What people handle."""

    resource = "incidents"
    serializer_class = IncidentSerializer
    filterset_class = IncidentFilters
    orderings: ClassVar = {"opened_at": "opened_at", "id": "pk"}
    default_ordering = "-opened_at"
    conflicts = (services.UnableToAct,)
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "acknowledge": _ACT,
        "unacknowledge": _ACT,
        "escalate": _ACT,
        "resolve": _ACT,
        "snooze": _ACT,
        "change_priority": _ACT,
        "tell_public": _ACT,
    }

    def get_queryset(self) -> QuerySet[Incident]:
        return Incident.objects.select_related(
            "service", "acknowledged_by", "resolved_by"
        ).defer("policy")

    def list(self, request: Request) -> HttpResponse:
        """List incidents, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read an incident."""
        return super().retrieve(request, id)

    @extend_schema(request=None)
    def acknowledge(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Take an incident: nobody is paged any more. Twice is the same as once."""
        services.acknowledge(incident_id=id, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def unacknowledge(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Give an incident back: it pages again at once."""
        services.unacknowledge(incident_id=id, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def escalate(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Page the next step now. Whoever has the incident gives it back by that."""
        services.escalate_now(incident_id=id, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=ResolveSerializer)
    def resolve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Declare an incident over."""
        values = sent_as(ResolveSerializer, request)
        services.resolve_incident(incident_id=id, **values, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=SnoozeSerializer)
    def snooze(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Keep an incident quiet until a moment; then it pages again."""
        values = sent_as(SnoozeSerializer, request)
        services.snooze(incident_id=id, **values, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=PrioritySerializer)
    def change_priority(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change how urgent an incident is."""
        values = sent_as(PrioritySerializer, request)
        services.change_priority(incident_id=id, **values, **acting_as(request))
        return self.answer(self.one(id))

    @extend_schema(request=PublicSerializer)
    def tell_public(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Say on the status page what users should know, or take the incident off it."""
        values = sent_as(PublicSerializer, request)
        services.tell_public(incident_id=id, **values, **acting_as(request))
        return self.answer(self.one(id))


class OfIncident(Resource):
    """Something that belongs to one incident."""

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Answer a page; 404 for an unknown incident."""
        if not Incident.objects.filter(pk=id).exists():
            raise Incident.DoesNotExist
        return super().list(request)


class TimelineResource(OfIncident):
    """What happened, line by line; lines are never changed."""

    resource = "incident_timeline"
    serializer_class = EventSerializer
    orderings: ClassVar = {"at": "at"}
    default_ordering = "-at"
    conflicts = (services.UnableToAct,)
    access: ClassVar = {"list": _READ, "add_note": _ACT}

    def get_queryset(self) -> QuerySet[IncidentEvent]:
        return IncidentEvent.objects.filter(
            incident_id=self.kwargs.get("id", 0)
        ).select_related("actor")

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """List the timeline of an incident, the newest first."""
        return super().list(request, id)

    @extend_schema(request=NoteSerializer, responses={201: EventSerializer})
    @idempotent
    def add_note(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Write a note into the timeline."""
        values = sent_as(NoteSerializer, request)
        event = services.add_note(incident_id=id, **values, **acting_as(request))
        return JsonAnswer(EventSerializer.represent(event), status=201)


class IncidentAlertResource(OfIncident):
    """The conditions that an incident groups."""

    resource = "incident_alerts"
    serializer_class = AlertSerializer
    orderings: ClassVar = {"id": "pk"}
    access: ClassVar = {"list": Access("incidents:read", "incidents.view_alert")}

    def get_queryset(self) -> QuerySet[Alert]:
        return Alert.objects.filter(incident_id=self.kwargs.get("id", 0))

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """List the alerts of an incident."""
        return super().list(request, id)


def acting_as(request: Request) -> dict[str, Any]:
    """Return who acts, how and when, as the services ask for it."""
    return {
        "user": request.user,
        "via": IncidentEvent.Via.API,
        "now": timezone.now(),
    }


def sent_as(
    kind: type[serializers.Serializer[Any]], request: Request
) -> dict[str, Any]:
    """Return the checked values of a body that says how to act."""
    serializer = kind(data=request.data)
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
