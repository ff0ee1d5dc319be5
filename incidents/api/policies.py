"""Escalation policies with their steps, teams, and which service follows which policy."""

from __future__ import annotations

from datetime import time
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.request import Request

from incidents import editing
from incidents.models import (
    EscalationPolicy,
    EscalationStep,
    Schedule,
    Service,
    ServicePolicy,
    Team,
)
from incidents.models.schedule import weekdays
from incidents.policy_rules import MOST_AFTER_S, MOST_STEPS
from notifications.models import Channel, Contact
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, IdFilter, TextFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.priority import Priority


def _access(model: str) -> dict[str, Access]:
    read = Access("incidents:read", f"incidents.view_{model}")
    return {
        "list": read,
        "retrieve": read,
        "create": Access("incidents:write", f"incidents.add_{model}"),
        "partial_update": Access("incidents:write", f"incidents.change_{model}"),
        "destroy": Access("incidents:write", f"incidents.delete_{model}"),
    }


class StepSerializer(StrictSerializer):
    """Whom one step tells, when, how often again, and in which hours."""

    after_s = fields.Integer(default=0, min_value=0, max_value=MOST_AFTER_S)
    repeat_s = fields.Integer(
        default=0, min_value=0, max_value=MOST_AFTER_S, help_text="0: tell once."
    )
    repeat_limit = fields.Integer(
        default=0, min_value=0, max_value=1000, help_text="0: until acknowledged."
    )
    has_mention = fields.Flag(default=False)
    channels = fields.Ids(
        queryset=Channel.objects.defer("secret"), many=True, default=list
    )
    schedules = fields.Ids(queryset=Schedule.objects.all(), many=True, default=list)
    contacts = fields.Ids(queryset=Contact.objects.all(), many=True, default=list)
    teams = fields.Ids(queryset=Team.objects.all(), many=True, default=list)
    only_weekdays = fields.Texts(
        child=fields.Choice(choices=weekdays()), default=list, max_length=7
    )
    only_from = fields.Clock(default=None, allow_null=True)
    only_until = fields.Clock(default=None, allow_null=True)
    time_zone = fields.Text(default="Europe/Paris", max_length=60)

    @classmethod
    def represent(cls, row: EscalationStep) -> dict[str, Any]:
        """Return a step; its rows are prefetched."""
        return {
            "after_s": row.after_s,
            "repeat_s": row.repeat_s,
            "repeat_limit": row.repeat_limit,
            "has_mention": row.has_mention,
            "channels": [other.pk for other in row.channels.all()],
            "schedules": [other.pk for other in row.schedules.all()],
            "contacts": [other.pk for other in row.contacts.all()],
            "teams": [other.pk for other in row.teams.all()],
            "only_weekdays": row.only_weekdays,
            "only_from": _shown(row.only_from),
            "only_until": _shown(row.only_until),
            "time_zone": row.time_zone,
        }


def _shown(at: time | None) -> str | None:
    return None if at is None else fields.write_clock(at)


class PolicySerializer(StrictModelSerializer):
    """Steps that an incident climbs until somebody acknowledges."""

    steps = StepSerializer(  # type: ignore[call-arg]
        many=True, required=False, max_length=MOST_STEPS
    )

    class Meta:
        model = EscalationPolicy
        fields = ["id", "name", "description", "ack_expires_s", "steps"]
        extra_kwargs = {"ack_expires_s": {"min_value": 0, "max_value": MOST_AFTER_S}}


class PolicyFilters(Filters):
    """Which policies."""

    name = TextFilter(lookup_expr="icontains", label="Part of the name")


class PolicyResource(Resource):
    """Whom an incident tells, and after how long whom else."""

    resource = "escalation_policies"
    serializer_class = PolicySerializer
    filterset_class = PolicyFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    is_versioned = True
    access: ClassVar = _access("escalationpolicy")

    def get_queryset(self) -> QuerySet[EscalationPolicy]:
        return EscalationPolicy.objects.prefetch_related(
            "steps__channels", "steps__schedules", "steps__contacts", "steps__teams"
        )

    def list(self, request: Request) -> HttpResponse:
        """List escalation policies with their steps."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read an escalation policy."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add an escalation policy."""
        values = self.sent()
        steps = values.pop("steps", [])
        return self.created(editing.create_policy(values=values, steps=steps).pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a policy: what the body names. Steps are replaced as a whole."""
        values = self.sent_for(self.one(id))
        steps = values.pop("steps", None)
        editing.change_policy(
            policy_id=id, values=values, steps=steps, expected=self.expected()
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a policy that no priority and no service follows."""
        editing.delete_policy(policy_id=id, expected=self.expected())
        return HttpResponse(status=204)


class TeamSerializer(StrictModelSerializer):
    """People who are told together."""

    members = fields.Ids(queryset=Contact.objects.all(), many=True, required=False)

    class Meta:
        model = Team
        fields = ["id", "name", "members"]


class TeamResource(Resource):
    """People who are told together."""

    resource = "teams"
    serializer_class = TeamSerializer
    orderings: ClassVar = {"name": "name", "id": "pk"}
    is_versioned = True
    access: ClassVar = _access("team")

    def get_queryset(self) -> QuerySet[Team]:
        return Team.objects.prefetch_related("members")

    def list(self, request: Request) -> HttpResponse:
        """List teams."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a team."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a team."""
        return self.created(editing.create_team(values=self.sent()).pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a team: what the body names. Members are replaced as a whole."""
        editing.change_team(
            team_id=id,
            values=self.sent_for(self.one(id)),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a team; the steps that named it go on without it."""
        editing.delete_team(team_id=id, expected=self.expected())
        return HttpResponse(status=204)


class ServicePolicySerializer(StrictModelSerializer):
    """The policy of one service, in place of what the matrix says."""

    service = fields.Ids(queryset=Service.objects.all())
    policy = fields.Ids(queryset=EscalationPolicy.objects.all())
    priority = fields.Choice(
        choices=Priority.choices,
        allow_blank=True,
        default="",
        help_text="Empty: all that have no line of their own.",
    )

    class Meta:
        model = ServicePolicy
        fields = ["id", "service", "priority", "policy"]
        # Said by the editing service, in words of what to do.
        validators: ClassVar[list[Any]] = []


class ServicePolicyFilters(Filters):
    """Which of them."""

    service = IdFilter(field_name="service_id")
    priority = WordFilter(choices=Priority.choices)


class ServicePolicyResource(Resource):
    """Which service follows which policy. A line is added or deleted, not changed."""

    resource = "service_policies"
    serializer_class = ServicePolicySerializer
    filterset_class = ServicePolicyFilters
    orderings: ClassVar = {"id": "pk"}
    is_versioned = True
    access: ClassVar = {
        name: access
        for name, access in _access("servicepolicy").items()
        if name != "partial_update"
    }

    def get_queryset(self) -> QuerySet[ServicePolicy]:
        return ServicePolicy.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List the policies of services."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read the policy of a service."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Let a service follow a policy of its own."""
        return self.created(editing.create_service_policy(values=self.sent()).pk)

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Let a service follow the matrix again."""
        editing.delete_service_policy(service_policy_id=id, expected=self.expected())
        return HttpResponse(status=204)
