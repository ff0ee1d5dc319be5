"""Why was nobody paged? The page's answer, from the same function."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from incidents.hindsight import Hindsight, Line
from monitors.models import Monitor
from monitors.status import Status
from monitors.why import account
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access, demand
from t4g_portal.lib.api.answers import JsonAnswer
from t4g_portal.lib.api.problems import QueryInvalid
from t4g_portal.lib.api.serializers import StrictSerializer
from t4g_portal.lib.api.views import Resource

# The answer tells of incidents, too.
_MONITORS = Access("monitors:read", "monitors.view_monitor")


class HindsightLineSerializer(StrictSerializer):
    """Something that was so or happened."""

    at = fields.Moment(read_only=True, allow_null=True)
    text = fields.Text(read_only=True, help_text="In the language asked for.")
    is_stop = fields.Flag(
        read_only=True, help_text="Whether it kept a page from somebody."
    )

    @classmethod
    def represent(cls, line: Line) -> dict[str, Any]:
        """Return a line."""
        return {
            "at": None if line.at is None else fields.write_moment(line.at),
            "text": line.said,
            "is_stop": line.is_stop,
        }


class HindsightSerializer(StrictSerializer):
    """One incident that was open then, and whom it had reached."""

    incident = fields.Integer(read_only=True)
    verdict = fields.Text(read_only=True)
    has_reached = fields.Flag(read_only=True)
    lines = HindsightLineSerializer(many=True, read_only=True)

    @classmethod
    def represent(cls, found: Hindsight) -> dict[str, Any]:
        """Return an incident as it was."""
        return {
            "incident": found.incident.pk,
            "verdict": found.verdict,
            "has_reached": found.has_reached,
            "lines": [HindsightLineSerializer.represent(line) for line in found.lines],
        }


class AccountSerializer(StrictSerializer):
    """What was known of a monitor at a moment, and what became of it."""

    at = fields.Moment(read_only=True)
    status = fields.Choice(read_only=True, choices=Status.choices)
    verdict = fields.Text(read_only=True, help_text="The answer in one sentence.")
    has_reached = fields.Flag(read_only=True, help_text="Whether anybody was paged.")
    lines = HindsightLineSerializer(many=True, read_only=True)
    incidents = HindsightSerializer(many=True, read_only=True)


class WhyResource(Resource):
    """Read only: why nobody was paged about a monitor, or that somebody was."""

    resource = "monitor_why"
    serializer_class = AccountSerializer
    parameters: ClassVar = {"read": ("at",)}
    access: ClassVar = {"read": Access("incidents:read", "incidents.view_incident")}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "at",
                OpenApiTypes.DATETIME,
                description="Now unless given; of the time to come nothing is known.",
            )
        ],
        responses=AccountSerializer,
    )
    def read(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Say why nobody was paged about a monitor at a moment, or that somebody was."""
        demand(request, _MONITORS)
        now = at = timezone.now()
        if "at" in request.query_params:
            try:
                at = min(fields.read_moment(request.query_params["at"]), now)
            except ValueError as error:
                why = _("Write a time with its offset, such as 2026-03-02T09:00:00Z.")
                raise QueryInvalid({"at": why}) from error
        rows = Monitor.objects.for_pages().defer("secret", "state__facts")
        found = account(monitor=rows.get(pk=id), at=at, now=now)
        return JsonAnswer(
            {
                "at": fields.write_moment(found.at),
                "status": found.status.value,
                "verdict": found.verdict,
                "has_reached": found.has_reached,
                "lines": [
                    HindsightLineSerializer.represent(line) for line in found.lines
                ],
                "incidents": [
                    HindsightSerializer.represent(one) for one in found.incidents
                ],
            }
        )
