"""Overrides, absences and swap requests."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from incidents.api.gaps import MAY_LEAVE_GAP, may_leave_gap
from incidents.api.incidents import sent_as
from incidents.models import Absence, Override, Schedule, SwapRequest
from incidents.oncall import services, swapping
from incidents.oncall.acting import UnableToChangeCalendar
from incidents.oncall.people import contact_of_user
from notifications.models import Contact
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, IdFilter, MomentFilter, WordFilter
from t4g_portal.lib.api.idempotency import idempotent
from t4g_portal.lib.api.serializers import StrictModelSerializer, StrictSerializer
from t4g_portal.lib.api.views import Resource

_TAKE = Access("on_call:write", "incidents.take_shift")


class OverrideSerializer(StrictModelSerializer):
    """Somebody on call for a time, whatever the rotations say."""

    schedule = fields.Ids(queryset=Schedule.objects.defer("ical_url"))

    class Meta:
        model = Override
        fields = [
            "id",
            "schedule",
            "contact",
            "starts_at",
            "ends_at",
            "kind",
            "replaces",
            "reason",
        ]
        read_only_fields = ["kind", "replaces"]
        validators: ClassVar[list[Any]] = []


class SpanFilters(Filters):
    """Which stretches of time."""

    contact = IdFilter(field_name="contact")
    ends_after = MomentFilter(field_name="ends_at", lookup_expr="gt")
    starts_before = MomentFilter(field_name="starts_at", lookup_expr="lt")


class OverrideFilters(SpanFilters):
    """Which overrides."""

    schedule = IdFilter(field_name="schedule")


class OverrideResource(Resource):
    """What changes turns for a time; the latest made wins."""

    resource = "overrides"
    serializer_class = OverrideSerializer
    filterset_class = OverrideFilters
    orderings: ClassVar = {"starts_at": "starts_at", "id": "pk"}
    conflicts = (UnableToChangeCalendar,)
    access: ClassVar = {
        "list": Access("on_call:read", "incidents.view_override"),
        "retrieve": Access("on_call:read", "incidents.view_override"),
        "create": Access("on_call:write", "incidents.add_override"),
        "destroy": Access("on_call:write", "incidents.delete_override"),
    }
    parameters: ClassVar = {"destroy": ("may_leave_gap",)}

    def get_queryset(self) -> QuerySet[Override]:
        return Override.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List overrides, taken shifts and swaps."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read an override."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Put somebody on call for a time. What has begun already begins now."""
        values = self.sent()
        row = services.override(
            schedule_id=values["schedule"].pk,
            contact_id=values["contact"].pk,
            starts_at=values["starts_at"],
            ends_at=values["ends_at"],
            reason=values.get("reason", ""),
            user=cast(User, request.user),
            now=timezone.now(),
        )
        return self.created(row.pk)

    @extend_schema(parameters=[MAY_LEAVE_GAP])
    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Take an override back. One that goes on ends now; the past stays."""
        services.cancel_override(
            override_id=id, now=timezone.now(), may_leave_gap=may_leave_gap(request)
        )
        return HttpResponse(status=204)


class AbsenceSerializer(StrictModelSerializer):
    """Time in which a person is on call for nothing."""

    class Meta:
        model = Absence
        fields = ["id", "contact", "starts_at", "ends_at", "reason"]
        validators: ClassVar[list[Any]] = []


class AbsenceResource(Resource):
    """When people can't be on call; the next of the rotation stands in."""

    resource = "absences"
    serializer_class = AbsenceSerializer
    filterset_class = SpanFilters
    orderings: ClassVar = {"starts_at": "starts_at", "id": "pk"}
    conflicts = (UnableToChangeCalendar,)
    access: ClassVar = {
        "list": Access("on_call:read", "incidents.view_absence"),
        "retrieve": Access("on_call:read", "incidents.view_absence"),
        "create": Access("on_call:write", "incidents.add_absence"),
        "destroy": Access("on_call:write", "incidents.delete_absence"),
    }
    parameters: ClassVar = {"create": ("may_leave_gap",)}

    def get_queryset(self) -> QuerySet[Absence]:
        return Absence.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List absences."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read an absence."""
        return super().retrieve(request, id)

    @extend_schema(parameters=[MAY_LEAVE_GAP])
    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Plan an absence."""
        values = self.sent()
        row = services.plan_absence(
            contact_id=values["contact"].pk,
            starts_at=values["starts_at"],
            ends_at=values["ends_at"],
            reason=values.get("reason", ""),
            may_leave_gap=may_leave_gap(request),
            now=timezone.now(),
        )
        return self.created(row.pk)

    def destroy(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Take an absence back. One that goes on ends now."""
        services.cancel_absence(absence_id=id, now=timezone.now())
        return HttpResponse(status=204)


class SwapSerializer(StrictModelSerializer):
    """A question to be on call instead, perhaps for a shift in return."""

    schedule = fields.Ids(queryset=Schedule.objects.defer("ical_url"))
    other = fields.Ids(queryset=Contact.objects.all(), help_text="Whom to ask.")

    class Meta:
        model = SwapRequest
        fields = [
            "id",
            "schedule",
            "asker",
            "other",
            "starts_at",
            "ends_at",
            "return_starts_at",
            "return_ends_at",
            "message",
            "answer",
            "status",
            "asked_at",
            "ended_at",
        ]
        read_only_fields = ["asker", "answer", "status", "asked_at", "ended_at"]
        validators: ClassVar[list[Any]] = []


class AnswerSerializer(StrictSerializer):
    """What to say with it."""

    answer = fields.Text(required=False, allow_blank=True, max_length=500)


class SwapFilters(SpanFilters):
    """Which questions."""

    contact = IdFilter(field_name="other", label="Who was asked")
    schedule = IdFilter(field_name="schedule")
    status = WordFilter(choices=SwapRequest.Status.choices)


class SwapResource(Resource):
    """Questions between two people. One asks and answers for oneself."""

    resource = "swap_requests"
    serializer_class = SwapSerializer
    filterset_class = SwapFilters
    orderings: ClassVar = {"asked_at": "asked_at", "id": "pk"}
    default_ordering = "-asked_at"
    conflicts = (UnableToChangeCalendar,)
    access: ClassVar = {
        "list": Access("on_call:read", "incidents.view_swaprequest"),
        "retrieve": Access("on_call:read", "incidents.view_swaprequest"),
        "create": _TAKE,
        "accept": _TAKE,
        "decline": _TAKE,
        "withdraw": _TAKE,
    }

    def get_queryset(self) -> QuerySet[SwapRequest]:
        return SwapRequest.objects.all()

    def list(self, request: Request) -> HttpResponse:
        """List swap requests, the newest first."""
        return super().list(request)

    def retrieve(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Read a swap request."""
        return super().retrieve(request, id)

    @idempotent
    def create(self, request: Request) -> HttpResponse:
        """Ask somebody to be on call instead of oneself."""
        values = self.sent()
        row = swapping.ask(
            schedule_id=values.pop("schedule").pk,
            asker_id=contact_of_user(request.user).pk,
            other_id=values.pop("other").pk,
            now=timezone.now(),
            **values,
        )
        return self.created(row.pk)

    @extend_schema(request=AnswerSerializer)
    def accept(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Accept what one was asked: from now on the calendar says so."""
        swapping.accept(
            request_id=id,
            contact_id=contact_of_user(request.user).pk,
            user=cast(User, request.user),
            now=timezone.now(),
            **sent_as(AnswerSerializer, request),
        )
        return self.answer(self.one(id))

    @extend_schema(request=AnswerSerializer)
    def decline(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Decline what one was asked."""
        swapping.decline(
            request_id=id,
            contact_id=contact_of_user(request.user).pk,
            now=timezone.now(),
            **sent_as(AnswerSerializer, request),
        )
        return self.answer(self.one(id))

    @extend_schema(request=None)
    def withdraw(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Take one's own question back."""
        swapping.withdraw(
            request_id=id,
            contact_id=contact_of_user(request.user).pk,
            now=timezone.now(),
        )
        return self.answer(self.one(id))
