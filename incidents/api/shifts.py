"""Who is on call, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from incidents.models import Schedule
from incidents.oncall import calendar, outlook, who, wording
from incidents.oncall.outlook import FlawKind
from incidents.oncall.plan import Plan, Shift, WhyKind
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.problems import QueryInvalid
from t4g_portal.lib.api.serializers import StrictSerializer
from t4g_portal.lib.api.views import Resource


class ShiftSerializer(StrictSerializer):
    """Who is on call from a moment until before another; null: nobody."""

    starts_at = fields.Moment(read_only=True)
    ends_at = fields.Moment(read_only=True)
    contact = fields.Integer(read_only=True, allow_null=True)
    contact_name = fields.Text(read_only=True)
    why = fields.Choice(read_only=True, choices=[kind.value for kind in WhyKind])
    why_text = fields.Text(read_only=True, help_text="In the language asked for.")
    instead_of = fields.Integer(read_only=True, allow_null=True)


class ShiftsSerializer(StrictSerializer):
    """Shifts without a hole."""

    items = ShiftSerializer(many=True, read_only=True)


class FlawSerializer(StrictSerializer):
    """A stretch of time with which something is wrong."""

    kind = fields.Choice(read_only=True, choices=[kind.value for kind in FlawKind])
    starts_at = fields.Moment(read_only=True)
    ends_at = fields.Moment(read_only=True)
    text = fields.Text(read_only=True)


class FlawsSerializer(StrictSerializer):
    """What is wrong, the soonest first."""

    items = FlawSerializer(many=True, read_only=True)


class DutySerializer(StrictSerializer):
    """Who is on call for a schedule, and who is next."""

    schedule = fields.Integer(read_only=True)
    schedule_name = fields.Text(read_only=True)
    shift = ShiftSerializer(read_only=True)
    next = ShiftSerializer(read_only=True, allow_null=True)


class DutiesSerializer(StrictSerializer):
    """Every schedule, by name."""

    at = fields.Moment(read_only=True)
    items = DutySerializer(many=True, read_only=True)


class OnCallResource(Resource):
    """Read only: who is on call, by the same function that pages people."""

    resource = "on_call"
    serializer_class = DutiesSerializer
    parameters: ClassVar = {"read": ("at",)}
    access: ClassVar = {"read": Access("on_call:read", "incidents.view_schedule")}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "at",
                OpenApiTypes.DATETIME,
                description="Now unless given. Of the past, the history answers.",
            )
        ],
        responses=DutiesSerializer,
    )
    def read(self, request: Request) -> HttpResponse:
        """Say who is on call for each schedule, now or at another time, and why."""
        at = timezone.now()
        if "at" in request.query_params:
            try:
                at = fields.read_moment(request.query_params["at"])
            except ValueError as error:
                why = _("Write a time with its offset, such as 2026-03-02T09:00:00Z.")
                raise QueryInvalid({"at": why}) from error
        return JsonAnswer(_duties(at))


def _duties(at: datetime) -> dict[str, Any]:
    ids = list(Schedule.objects.values_list("pk", flat=True))
    shifts = who.on_call_of(schedule_ids=ids, at=at)
    plans = who.plan_of(ids, since=at)
    after = {pk: calendar.next_shift(plan, at) for pk, plan in plans.items()}
    names = who.names_of(
        shifts=[*shifts.values(), *(one for one in after.values() if one)],
        plans=plans.values(),
    )
    return {
        "at": fields.write_moment(at),
        "items": [
            {
                "schedule": plan.schedule_id,
                "schedule_name": plan.name,
                "shift": _shift(shifts[plan.schedule_id], names),
                "next": _shift(follows, names)
                if (follows := after[plan.schedule_id])
                else None,
            }
            for plan in sorted(plans.values(), key=lambda one: one.name)
            if plan.schedule_id in shifts
        ],
    }


def represent_shifts(
    schedule_id: int, start: datetime, end: datetime
) -> dict[str, Any]:
    """Return who is on call for a schedule in a stretch of time."""
    found = who.stretches_of(schedule_ids=[schedule_id], start=start, end=end)
    stretch = found[schedule_id]
    names = who.names_of(shifts=stretch.shifts, plans=[stretch.plan])
    return {"items": [_shift(shift, names) for shift in stretch.shifts]}


def represent_flaws(schedule_id: int, now: datetime) -> dict[str, Any]:
    """Return what is wrong with a schedule's next two weeks."""
    plan: Plan = who.plan_of([schedule_id], since=now)[schedule_id]
    return {
        "items": [
            {
                "kind": flaw.kind.value,
                "starts_at": fields.write_moment(flaw.start),
                "ends_at": fields.write_moment(flaw.end),
                "text": wording.flaw(flaw, names=plan.names, zone=plan.zone, now=now),
            }
            for flaw in outlook.flaws(plan, now)
        ]
    }


def _shift(shift: Shift, names: Mapping[int, str]) -> dict[str, Any]:
    return {
        "starts_at": fields.write_moment(shift.start),
        "ends_at": fields.write_moment(shift.end),
        "contact": shift.contact_id,
        "contact_name": names.get(shift.contact_id or 0, ""),
        "why": shift.why.kind.value,
        "why_text": wording.why(shift.why, names=names),
        "instead_of": shift.why.instead_of,
    }
