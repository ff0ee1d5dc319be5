"""The figures of the numbers page, for programs."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from incidents.models import Service
from incidents.numbers import period as periods
from incidents.numbers.board import board
from incidents.numbers.scope import Scope
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.problems import QueryInvalid
from t4g_portal.lib.api.serializers import StrictSerializer
from t4g_portal.lib.api.views import Resource
from t4g_portal.lib.priority import Priority

_PERIODS = [*periods.DAYS]


class SpreadSerializer(StrictSerializer):
    """Some lengths in seconds; null where there is none, which is not zero."""

    count = fields.Integer(read_only=True)
    mean_s = fields.Number(read_only=True, allow_null=True)
    median_s = fields.Number(read_only=True, allow_null=True)
    p90_s = fields.Number(read_only=True, allow_null=True)
    max_s = fields.Number(read_only=True, allow_null=True)


class ObjectivesSerializer(StrictSerializer):
    """Whether somebody acknowledged in the time that the priority allows."""

    met_count = fields.Integer(read_only=True)
    missed_count = fields.Integer(read_only=True)
    over_count = fields.Integer(
        read_only=True, help_text="Ended before it was due: neither met nor missed."
    )
    pending_count = fields.Integer(read_only=True, help_text="Not due yet.")
    ratio = fields.Number(
        read_only=True, allow_null=True, help_text="Of those met or missed."
    )


class LineSerializer(StrictSerializer):
    """What was measured over some incidents."""

    incident_count = fields.Integer(read_only=True)
    coverage = fields.Number(
        read_only=True, allow_null=True, help_text="The share that was acknowledged."
    )
    to_acknowledge = SpreadSerializer(read_only=True)
    never_count = fields.Integer(
        read_only=True, help_text="Resolved without an acknowledgement."
    )
    waiting_count = fields.Integer(
        read_only=True, help_text="Open and not acknowledged so far."
    )
    to_resolve = SpreadSerializer(read_only=True)
    brief_count = fields.Integer(
        read_only=True, help_text="Over by themselves within five minutes."
    )
    objectives = ObjectivesSerializer(read_only=True)


class ByPrioritySerializer(StrictSerializer):
    """The same for each priority."""

    p0 = LineSerializer(read_only=True)
    p1 = LineSerializer(read_only=True)
    p2 = LineSerializer(read_only=True)
    p3 = LineSerializer(read_only=True)


class ReaderSerializer(StrictSerializer):
    """A person or a shared channel, and how often it was paged."""

    name = fields.Text(read_only=True)
    is_person = fields.Flag(read_only=True)
    page_count = fields.Integer(read_only=True)
    out_of_hours_count = fields.Integer(read_only=True)
    a_week = fields.Number(read_only=True)
    worst_week = fields.Integer(read_only=True)


class SourceSerializer(StrictSerializer):
    """What raised most incidents."""

    source = fields.Text(  # type: ignore[assignment]  # DRF's own word, too
        read_only=True, help_text="Such as `monitor:12`."
    )
    name = fields.Text(read_only=True)
    incident_count = fields.Integer(read_only=True)
    alert_count = fields.Integer(read_only=True)
    brief_count = fields.Integer(read_only=True)
    unacknowledged_count = fields.Integer(read_only=True)


class NumbersSerializer(StrictSerializer):
    """How fast people were, how often they were disturbed, and by what."""

    since = fields.Moment(read_only=True)
    until = fields.Moment(read_only=True)
    whole = LineSerializer(read_only=True)
    by_priority = ByPrioritySerializer(read_only=True)
    in_hours = LineSerializer(read_only=True)
    out_of_hours = LineSerializer(read_only=True)
    resolved_by_people = SpreadSerializer(read_only=True)
    resolved_by_itself = SpreadSerializer(read_only=True)
    first_delivery = SpreadSerializer(read_only=True)
    people = ReaderSerializer(many=True, read_only=True)
    channels = ReaderSerializer(many=True, read_only=True)
    sources = SourceSerializer(many=True, read_only=True)


class NumbersResource(Resource):
    """Read only: what the page of numbers shows."""

    resource = "numbers"
    serializer_class = NumbersSerializer
    parameters: ClassVar = {
        "read": ("period", "first_day", "last_day", "service", "priority")
    }
    access: ClassVar = {"read": Access("incidents:read", "incidents.view_incident")}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "period",
                OpenApiTypes.STR,
                enum=_PERIODS,
                description="The last days, today included. 30d unless days are given.",
            ),
            OpenApiParameter(
                "first_day",
                OpenApiTypes.DATE,
                description="In the portal's time zone; with `last_day`.",
            ),
            OpenApiParameter("last_day", OpenApiTypes.DATE, description="Counted in."),
            OpenApiParameter(
                "service", OpenApiTypes.INT64, description="Of a service."
            ),
            OpenApiParameter(
                "priority",
                OpenApiTypes.STR,
                enum=Priority.values,
                description="Of a priority.",
            ),
        ],
        responses=NumbersSerializer,
    )
    def read(self, request: Request) -> HttpResponse:
        """Read the figures of a period: MTTA, MTTR, objectives, pages, noise."""
        now = timezone.now()
        asked = request.query_params
        scope = Scope(
            period=_period(asked, now),
            service_id=_service(asked.get("service")),
            priority=_word("priority", asked.get("priority"), Priority.values),
        )
        return JsonAnswer(_represent(scope, now))


def _represent(scope: Scope, now: datetime) -> dict[str, Any]:
    found = board(scope=scope, now=now)
    line, spread = LineSerializer.represent, SpreadSerializer.represent
    response = found.response
    return {
        "since": fields.write_moment(scope.period.since),
        "until": fields.write_moment(scope.period.until),
        "whole": line(response.whole),
        "by_priority": {
            priority: line(one) for priority, one in response.by_priority.items()
        },
        "in_hours": line(response.in_hours),
        "out_of_hours": line(response.out_of_hours),
        "resolved_by_people": spread(response.by_people),
        "resolved_by_itself": spread(response.by_itself),
        "first_delivery": spread(found.first_delivery.whole),
        "people": [
            ReaderSerializer.represent(one) for one in found.interruptions.people
        ],
        "channels": [
            ReaderSerializer.represent(one) for one in found.interruptions.channels
        ],
        "sources": [SourceSerializer.represent(one) for one in found.noisiest],
    }


def _period(asked: Any, now: datetime) -> periods.Period:
    first, last = asked.get("first_day"), asked.get("last_day")
    key = _word("period", asked.get("period"), _PERIODS)
    if first is None and last is None:
        return periods.last_days(key=key or periods.DEFAULT, now=now)
    if key:
        raise QueryInvalid({"period": _("Give a period or days, not both.")})
    form = periods.PeriodForm(
        {"start": _day("first_day", first), "end": _day("last_day", last)}, now=now
    )
    if form.is_valid():
        return form.period
    names = {"start": "first_day", "end": "last_day"}
    raise QueryInvalid(
        {names[field]: str(errors[0]) for field, errors in form.errors.items()}
    )


def _day(name: str, text: str | None) -> date:
    if text is None:
        raise QueryInvalid({name: _("Give both days.")})
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise QueryInvalid({name: _("Write it as 2026-03-01.")}) from error


def _service(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) < 19:
        number = int(text)
        if Service.objects.filter(pk=number).exists():
            return number
    raise QueryInvalid({"service": _("There is no such service.")})


def _word(name: str, text: str | None, known: list[str]) -> str:
    if text is None or text in known:
        return text or ""
    raise QueryInvalid(
        {name: _("Choose one of: %(words)s.") % {"words": ", ".join(known)}}
    )
