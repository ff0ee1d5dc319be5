"""Drills and their plans."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from incidents.models import EscalationPolicy
from monitors import editing
from monitors.drills import running
from monitors.drills.reports import Report, Way
from monitors.models import Drill, DrillPlan, Monitor
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import Filters, IdFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.priority import Priority

_READ = Access("drills:read", "monitors.view_drill")
_RUN = Access("drills:write", "monitors.run_drill")
_PLANS = Access("drills:read", "monitors.view_drillplan")


class DrillPlanSerializer(StrictModelSerializer):
    """A drill that runs by itself."""

    monitor = fields.Ids(queryset=Monitor.objects.defer("secret"))
    policy = fields.Ids(
        queryset=EscalationPolicy.objects.all(),
        required=False,
        allow_null=True,
        help_text="Empty: the one that a real incident would take.",
    )

    class Meta:
        model = DrillPlan
        fields = [
            "id",
            "name",
            "monitor",
            "priority",
            "policy",
            "schedule",
            "time_zone",
            "give_up_after_s",
            "is_enabled",
        ]
        extra_kwargs = {
            "give_up_after_s": {"min_value": 60, "max_value": 14_400},
            "schedule": {"help_text": "As in crontab, such as 0 10 * * mon."},
        }


class StartSerializer(StrictSerializer):
    """What seems to be down, how bad, and for how long at most."""

    monitor = fields.Ids(queryset=Monitor.objects.defer("secret"))
    priority = fields.Choice(choices=Priority.choices, default=Priority.P0)
    policy = fields.Ids(
        queryset=EscalationPolicy.objects.all(), required=False, allow_null=True
    )
    length_s = fields.Integer(default=1800, min_value=60, max_value=14_400)


class SignSerializer(StrictSerializer):
    """What somebody adds to their signature."""

    remark = fields.Text(
        max_length=running.MAX_REMARK, required=False, allow_blank=True, default=""
    )


class WaySerializer(StrictSerializer):
    """One way to one destination; seconds count from the failure."""

    to = fields.Text(read_only=True)
    method = fields.Text(read_only=True)
    state = fields.Text(
        read_only=True, help_text="queued, sent, delivered, failed or cancelled"
    )
    page_count = fields.Integer(read_only=True)
    sent_s = fields.Number(read_only=True, allow_null=True)
    delivered_s = fields.Number(read_only=True, allow_null=True)
    problem = fields.Text(read_only=True)


class ReportSerializer(StrictSerializer):
    """What a drill proved."""

    triggered_at = fields.Moment(read_only=True)
    ways = WaySerializer(many=True, read_only=True)
    acknowledged_at = fields.Moment(read_only=True, allow_null=True)
    acknowledged_s = fields.Number(read_only=True, allow_null=True)
    acknowledged_by = fields.Text(read_only=True)
    acknowledged_via = fields.Text(read_only=True)


class DrillSerializer(StrictModelSerializer):
    """A rehearsal, its report apart."""

    signed_by = fields.Text(read_only=True, source="signer")

    class Meta:
        model = Drill
        fields = [
            "id",
            "monitor",
            "monitor_name",
            "priority",
            "policy_name",
            "plan",
            "incident",
            "status",
            "started_at",
            "ends_by",
            "ended_at",
            "signed_by",
            "signed_at",
            "remark",
        ]
        read_only_fields = fields


class DrillFilters(Filters):
    """Which drills."""

    status = WordFilter(choices=Drill.Status.choices)
    priority = WordFilter(choices=Priority.choices)
    monitor = IdFilter(field_name="monitor_id")
    plan = IdFilter(field_name="plan_id")


class DrillResource(Resource):
    """Rehearsals: people are paged, and everything says that it is a drill."""

    resource = "drills"
    serializer_class = DrillSerializer
    filterset_class = DrillFilters
    orderings: ClassVar = {"started_at": "started_at", "id": "pk"}
    default_ordering = "-started_at"
    conflicts = (running.UnableToStart, running.UnableToStop, running.UnableToSign)
    access: ClassVar = {
        "list": _READ,
        "retrieve": _READ,
        "report": _READ,
        "create": _RUN,
        "stop": _RUN,
        "sign": Access("drills:write", "monitors.change_drill"),
    }

    def get_queryset(self) -> QuerySet[Drill]:
        return Drill.objects.select_related("signed_by").defer("report")

    def list(self, request: Request) -> HttpResponse:
        """List drills, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a drill."""
        return super().retrieve(request, id)

    @extend_schema(responses=ReportSerializer)
    def report(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read what a drill has proved so far, or as it was signed."""
        drill = Drill.objects.select_related("incident").get(pk=id)
        return JsonAnswer(_shown(running.report(drill=drill)))

    @idempotent
    @extend_schema(request=StartSerializer)
    def create(self, request: Request) -> HttpResponse:
        """Start a drill: page people now, as if a monitor were down."""
        sent = StartSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        chosen = sent.validated_data
        drill = running.start(
            monitor=chosen["monitor"],
            priority=chosen["priority"],
            policy=chosen.get("policy"),
            length=timedelta(seconds=chosen["length_s"]),
            user=cast(User, request.user),
            now=timezone.now(),
        )
        return self.created(drill.pk)

    @extend_schema(request=None)
    def stop(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """End a drill before its time; it proves nothing."""
        running.stop(drill_id=id, now=timezone.now())
        return self.answer(self.one(id))

    @extend_schema(request=SignSerializer)
    def sign(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Sign the report of a drill that has ended; it stays as it is then."""
        sent = SignSerializer(data=request.data)
        sent.is_valid(raise_exception=True)
        running.sign(
            drill_id=id,
            user=cast(User, request.user),
            remark=sent.validated_data["remark"],
            now=timezone.now(),
        )
        return self.answer(self.one(id))


class DrillPlanResource(Resource):
    """Drills that run by themselves."""

    resource = "drill_plans"
    serializer_class = DrillPlanSerializer
    orderings: ClassVar = {"name": "name", "id": "pk"}
    is_versioned = True
    access: ClassVar = {
        "list": _PLANS,
        "retrieve": _PLANS,
        "create": Access("drills:write", "monitors.add_drillplan"),
        "partial_update": Access("drills:write", "monitors.change_drillplan"),
        "destroy": Access("drills:write", "monitors.delete_drillplan"),
    }

    def get_queryset(self) -> QuerySet[DrillPlan]:
        return DrillPlan.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List the plans of drills."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a plan."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Plan a drill."""
        return self.created(editing.create_drill_plan(values=self.sent()).pk)

    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a plan: what the body names."""
        editing.change_drill_plan(
            plan_id=id, values=self.sent_for(self.one(id)), expected=self.expected()
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a plan. The drills that it ran stay."""
        editing.delete_drill_plan(plan_id=id, expected=self.expected())
        return HttpResponse(status=204)


def _shown(report: Report) -> dict[str, Any]:
    acknowledged = report.acknowledged
    return {
        "triggered_at": fields.write_moment(report.triggered_at),
        "ways": [_way(report, way) for way in report.ways],
        "acknowledged_at": fields.write_moment(acknowledged.at)
        if acknowledged
        else None,
        "acknowledged_s": report.after_s(acknowledged.at) if acknowledged else None,
        "acknowledged_by": acknowledged.who if acknowledged else "",
        "acknowledged_via": acknowledged.via if acknowledged else "",
    }


def _way(report: Report, way: Way) -> dict[str, Any]:
    return {
        "to": way.to,
        "method": way.method,
        "state": way.state,
        "page_count": way.page_count,
        "sent_s": report.after_s(way.sent_at),
        "delivered_s": report.after_s(way.delivered_at),
        "problem": way.problem,
    }
