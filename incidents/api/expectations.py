"""What must stay true of the road to people, and whether it is."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from incidents.expectations import editing
from incidents.models import (
    EscalationPolicy,
    ReachExpectation,
    ReachExpectationState,
    Schedule,
    Service,
    Team,
)
from incidents.models.expectation import MAX_WITHIN_S, MIN_WITHIN_S
from incidents.models.schedule import weekdays
from notifications.models import Channel, Contact
from notifications.models.contact import method_kinds
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, FlagFilter, IdFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource

_READ = Access("incidents:read", "incidents.view_reachexpectation")


class ExpectationStateSerializer(StrictSerializer):
    """Whether it holds, as it was judged last."""

    status = fields.Choice(read_only=True, choices=ReachExpectationState.Status.choices)
    since = fields.Moment(read_only=True)
    judged_at = fields.Moment(read_only=True)
    opens_at = fields.Moment(
        read_only=True, help_text="The moment that decided: the first that fails."
    )
    told_at = fields.Moment(
        read_only=True, allow_null=True, help_text="Empty: not in time."
    )
    reason = fields.Choice(
        read_only=True,
        allow_blank=True,
        choices=ReachExpectationState.Reason.choices,
        help_text="Why it doesn't hold.",
    )


class ExpectationSerializer(StrictModelSerializer):
    """If it broke then, so-and-so would be told in time."""

    service = fields.Ids(
        queryset=Service.objects.all(),
        required=False,
        allow_null=True,
        help_text="What breaks. This or a policy.",
    )
    policy = fields.Ids(
        queryset=EscalationPolicy.objects.all(), required=False, allow_null=True
    )
    contact = fields.Ids(
        queryset=Contact.objects.all(),
        required=False,
        allow_null=True,
        help_text="One of contact, schedule, team, channel; none: somebody is told.",
    )
    schedule = fields.Ids(
        queryset=Schedule.objects.defer("ical_url"), required=False, allow_null=True
    )
    team = fields.Ids(queryset=Team.objects.all(), required=False, allow_null=True)
    channel = fields.Ids(
        queryset=Channel.objects.defer("secret"), required=False, allow_null=True
    )
    at = fields.Moment(
        required=False, allow_null=True, help_text="For the occasion `once`."
    )
    weekday = fields.Choice(
        choices=weekdays(),
        required=False,
        allow_blank=True,
        help_text="For the occasion `weekly`, with a clock.",
    )
    clock = fields.Clock(required=False, allow_null=True)
    method = fields.Choice(
        choices=method_kinds(),
        required=False,
        allow_blank=True,
        help_text="Empty: by any way.",
    )
    state = serializers.SerializerMethodField()

    class Meta:
        model = ReachExpectation
        fields = [
            "id",
            "name",
            "service",
            "policy",
            "priority",
            "occasion",
            "at",
            "weekday",
            "clock",
            "time_zone",
            "contact",
            "schedule",
            "team",
            "channel",
            "method",
            "within_s",
            "is_enabled",
            "state",
        ]
        extra_kwargs = {
            "within_s": {"min_value": MIN_WITHIN_S, "max_value": MAX_WITHIN_S}
        }

    @staticmethod
    @extend_schema_field(ExpectationStateSerializer(allow_null=True))
    def get_state(expectation: ReachExpectation) -> dict[str, Any] | None:
        """Return whether it holds; None: it is disabled, or not judged yet."""
        state = getattr(expectation, "state", None)
        return None if state is None else ExpectationStateSerializer.represent(state)


class ExpectationFilters(Filters):
    """Which of them."""

    status = WordFilter(
        field_name="state__status", choices=ReachExpectationState.Status.choices
    )
    service = IdFilter(field_name="service_id")
    policy = IdFilter(field_name="policy_id")
    is_enabled = FlagFilter()


class ExpectationResource(Resource):
    """What must stay true of the road to people. The simulator judges it every minute."""

    resource = "expectations"
    serializer_class = ExpectationSerializer
    filterset_class = ExpectationFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "create": Access("incidents:write", "incidents.add_reachexpectation"),
        "partial_update": Access(
            "incidents:write", "incidents.change_reachexpectation"
        ),
        "destroy": Access("incidents:write", "incidents.delete_reachexpectation"),
    }

    def get_queryset(self) -> QuerySet[ReachExpectation]:
        return ReachExpectation.objects.select_related("state")

    def list(self, request: Request) -> HttpResponse:
        """List expectations with whether they hold."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read an expectation with whether it holds."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Say what must stay true; the answer says whether it is."""
        row = editing.create_expectation(values=self.sent(), now=timezone.now())
        return self.created(row.pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change an expectation: what the body names."""
        editing.change_expectation(
            expectation_id=id,
            values=self.sent_for(self.one(id)),
            now=timezone.now(),
            expected=self.expected(),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete an expectation; what it alerted about ends with it."""
        editing.delete_expectation(expectation_id=id, expected=self.expected())
        return HttpResponse(status=204)
