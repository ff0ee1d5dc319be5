"""Schedules and their rotations."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request

from incidents.api.gaps import MAY_LEAVE_GAP, may_leave_gap
from incidents.api.incidents import sent_as
from incidents.api.shifts import (
    FlawsSerializer,
    ShiftsSerializer,
    represent_flaws,
    represent_shifts,
)
from incidents.models import Participant, Rotation, Schedule
from incidents.oncall import editing, services
from incidents.oncall.acting import UnableToChangeCalendar
from incidents.oncall.people import contact_of_user
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.filters import Filters, IdFilter, TextFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.problems import QueryInvalid
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource

READ = Access("on_call:read", "incidents.view_schedule")
_AHEAD, _MOST = timedelta(days=14), timedelta(days=400)


class ScheduleSerializer(StrictModelSerializer):
    """A duty that people take turns at."""

    ical_url = fields.Url(
        write_only=True,
        required=False,
        allow_blank=True,
        max_length=2000,
        help_text="A calendar to import. Never shown again; empty imports none.",
    )
    has_ical_url = fields.Flag(read_only=True)

    class Meta:
        model = Schedule
        fields = [
            "id",
            "name",
            "slug",
            "description",
            "time_zone",
            "is_continuous",
            "handoff_notice_s",
            "ical_url",
            "has_ical_url",
        ]
        extra_kwargs = {"handoff_notice_s": {"max_value": 14 * 86_400}}


class TakeSerializer(StrictSerializer):
    """From when until when."""

    starts_at = fields.Moment()
    ends_at = fields.Moment()
    reason = fields.Text(required=False, allow_blank=True, max_length=200)


class TakenSerializer(StrictSerializer):
    """The override that it makes."""

    id = fields.Integer(read_only=True)


class ScheduleFilters(Filters):
    """Which schedules."""

    slug = TextFilter()


class ScheduleResource(Resource):
    """Duties that people take turns at; policies page them."""

    resource = "schedules"
    serializer_class = ScheduleSerializer
    filterset_class = ScheduleFilters
    orderings: ClassVar = {"name": "name", "id": "pk"}
    conflicts = (UnableToChangeCalendar,)
    is_versioned = True
    parameters: ClassVar = {
        "shifts": ("start", "end"),
        "partial_update": ("may_leave_gap",),
    }
    access: ClassVar = {
        "list": READ,
        "retrieve": READ,
        "shifts": READ,
        "flaws": READ,
        "take": Access("on_call:write", "incidents.take_shift"),
        "create": Access("on_call:write", "incidents.add_schedule"),
        "partial_update": Access("on_call:write", "incidents.change_schedule"),
        "destroy": Access("on_call:write", "incidents.delete_schedule"),
    }

    def get_queryset(self) -> QuerySet[Schedule]:
        return Schedule.objects.defer("ical_url").annotate(has_ical_url=~Q(ical_url=""))

    def list(self, request: Request) -> HttpResponse:
        """List schedules."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a schedule."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a schedule."""
        row = editing.create_schedule(values=self.sent(), now=timezone.now())
        return self.created(row.pk)

    @extend_schema(parameters=[MAY_LEAVE_GAP])
    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a schedule: what the body names."""
        editing.change_schedule(
            schedule_id=id,
            values=self.sent_for(self.one(id)),
            now=timezone.now(),
            expected=self.expected(),
            may_leave_gap=may_leave_gap(request),
        )
        return self.answer(self.one(id))

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a schedule that no policy names. Who was on call stays known."""
        editing.delete_schedule(
            schedule_id=id, now=timezone.now(), expected=self.expected()
        )
        return HttpResponse(status=204)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "start", OpenApiTypes.DATETIME, description="Now unless given."
            ),
            OpenApiParameter(
                "end",
                OpenApiTypes.DATETIME,
                description="14 days after the start unless given; at most 400 days.",
            ),
        ],
        responses=ShiftsSerializer,
    )
    def shifts(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Say who is on call in a stretch of time, of the past too, without a hole."""
        start, end = _stretch(request)
        return JsonAnswer(represent_shifts(self.one(id).pk, start, end))

    @extend_schema(responses=FlawsSerializer)
    def flaws(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Say what is wrong with the next two weeks: gaps, overlaps, absences."""
        return JsonAnswer(represent_flaws(self.one(id).pk, timezone.now()))

    @extend_schema(request=TakeSerializer, responses={201: TakenSerializer})
    def take(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Take a shift for oneself, from somebody else or from nobody."""
        values = sent_as(TakeSerializer, request)
        row = services.take(
            schedule_id=self.one(id).pk,
            contact_id=contact_of_user(request.user).pk,
            now=timezone.now(),
            user=cast(User, request.user),
            **values,
        )
        return JsonAnswer({"id": row.pk}, status=201)


class RotationSerializer(StrictModelSerializer):
    """People who take turns, perhaps only at some hours."""

    schedule = fields.Ids(queryset=Schedule.objects.defer("ical_url"))
    only_weekdays = fields.Texts(
        required=False,
        max_length=7,
        child=fields.Choice(choices=["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
        help_text="None: every day.",
    )
    participants = serializers.ListField(
        child=fields.Integer(min_value=1, max_value=2**63 - 1),
        source="contact_ids",
        required=False,
        max_length=100,
        help_text="Contacts, in the order of their turns.",
    )

    class Meta:
        model = Rotation
        fields = [
            "id",
            "schedule",
            "name",
            "position",
            "length",
            "unit",
            "starts_on",
            "handoff_time",
            "ends_on",
            "only_weekdays",
            "only_from",
            "only_until",
            "participants",
        ]
        extra_kwargs = {"length": {"min_value": 1}}
        # The editing says it in the words of the field.
        validators: ClassVar[list[Any]] = []


class RotationFilters(Filters):
    """Which rotations."""

    schedule = IdFilter(field_name="schedule")


class RotationResource(Resource):
    """The layers of schedules; where several hold, the highest position wins."""

    resource = "rotations"
    serializer_class = RotationSerializer
    filterset_class = RotationFilters
    orderings: ClassVar = {"id": "pk", "name": "name"}
    conflicts = (UnableToChangeCalendar,)
    is_versioned = True
    parameters: ClassVar = {
        "partial_update": ("may_leave_gap",),
        "destroy": ("may_leave_gap",),
    }
    access: ClassVar = {
        "list": Access("on_call:read", "incidents.view_rotation"),
        "retrieve": Access("on_call:read", "incidents.view_rotation"),
        "create": Access("on_call:write", "incidents.add_rotation"),
        "partial_update": Access("on_call:write", "incidents.change_rotation"),
        "destroy": Access("on_call:write", "incidents.delete_rotation"),
    }

    def get_queryset(self) -> QuerySet[Rotation]:
        seats = Participant.objects.order_by("position", "pk")
        return Rotation.objects.prefetch_related(
            Prefetch("participants", queryset=seats), "contacts"
        )

    def list(self, request: Request) -> HttpResponse:
        """List rotations with who takes turns."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a rotation with who takes turns."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Add a rotation to a schedule."""
        values = self.sent()
        contact_ids = values.pop("contact_ids", [])
        row = editing.create_rotation(
            values=values, contact_ids=contact_ids, now=timezone.now()
        )
        return self.created(row.pk)

    @extend_schema(parameters=[MAY_LEAVE_GAP])
    def partial_update(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Change a rotation: what the body names. Participants are replaced."""
        values = self.sent_for(self.one(id))
        contact_ids = values.pop("contact_ids", None)
        editing.change_rotation(
            rotation_id=id,
            values=values,
            contact_ids=contact_ids,
            now=timezone.now(),
            expected=self.expected(),
            may_leave_gap=may_leave_gap(request),
        )
        return self.answer(self.one(id))

    @extend_schema(parameters=[MAY_LEAVE_GAP])
    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Delete a rotation."""
        editing.delete_rotation(
            rotation_id=id,
            now=timezone.now(),
            expected=self.expected(),
            may_leave_gap=may_leave_gap(request),
        )
        return HttpResponse(status=204)


def _stretch(request: Request) -> tuple[datetime, datetime]:
    asked = request.query_params
    found: dict[str, datetime] = {}
    for name in ("start", "end"):
        if name in asked:
            found[name] = moment_of(name, asked[name])
    start = found.get("start", timezone.now())
    end = found.get("end", start + _AHEAD)
    if not start < end <= start + _MOST:
        raise QueryInvalid(
            {"end": _("Give an end after the start, at most 400 days later.")}
        )
    return start, end


def moment_of(name: str, text: str) -> datetime:
    """Return a time of the address; raises QueryInvalid."""
    try:
        return fields.read_moment(text)
    except ValueError as error:
        raise QueryInvalid(
            {name: _("Write a time with its offset, such as 2026-03-02T09:00:00Z.")}
        ) from error
