"""What was seen of one monitor: results, the status ledger, uptime."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request

from monitors.models import CheckResult, Monitor, StatusInterval
from monitors.pages.reasons import is_ours, reason_words
from monitors.queries.latency import PHASES
from monitors.queries.ledger import WINDOWS
from monitors.status import Status
from monitors.uptime import Uptime, floor_percent
from t4g_portal.lib.api import fields
from t4g_portal.lib.api.access import Access
from t4g_portal.lib.api.filters import Filters, MomentFilter, WordFilter
from t4g_portal.lib.api.serializers import StrictSerializer
from t4g_portal.lib.api.views import Resource

_READ = Access("monitors:read", "monitors.view_monitor")
SECONDS = ("up", "degraded", "down", "maintenance", "paused", "unknown")


class ResultSerializer(StrictSerializer):
    """One raw result. Phases in milliseconds, null where one did not happen."""

    at = fields.Moment(read_only=True)
    is_passed = fields.Flag(read_only=True)
    is_ours = fields.Flag(
        read_only=True, help_text="The portal's own fault: says nothing of the target."
    )
    code = fields.Integer(
        read_only=True, help_text="0: passed; an HTTP status; or another reason."
    )
    reason = fields.Text(read_only=True)
    latency_ms = fields.Number(read_only=True, allow_null=True)
    dns_ms = fields.Number(read_only=True, allow_null=True)
    connect_ms = fields.Number(read_only=True, allow_null=True)
    tls_ms = fields.Number(read_only=True, allow_null=True)
    first_byte_ms = fields.Number(read_only=True, allow_null=True)
    transfer_ms = fields.Number(read_only=True, allow_null=True)

    @classmethod
    def represent(cls, row: CheckResult) -> dict[str, Any]:
        """Return a result with its words and its sum."""
        phases = {phase: getattr(row, phase) for phase in PHASES}
        happened = [ms for ms in phases.values() if ms is not None]
        return {
            "at": fields.write_moment(row.at),
            "is_passed": row.code == 0,
            "is_ours": is_ours(row.code),
            "code": row.code,
            "reason": reason_words(row.code),
            "latency_ms": sum(happened) if happened else None,
            **phases,
        }


class ResultFilters(Filters):
    """Which results."""

    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")


class OfMonitor(Resource):
    """Something that belongs to one monitor."""

    access: ClassVar = {"list": _READ}

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """Answer a page; 404 for an unknown monitor."""
        if not Monitor.objects.filter(pk=id).exists():
            raise Monitor.DoesNotExist
        return super().list(request)


class ResultResource(OfMonitor):
    """Raw results, kept for weeks."""

    resource = "monitor_results"
    serializer_class = ResultSerializer
    filterset_class = ResultFilters
    orderings: ClassVar = {"at": "at"}
    default_ordering = "-at"
    cursor_tie = ""

    def get_queryset(self) -> QuerySet[CheckResult]:
        return CheckResult.objects.filter(monitor_id=self.kwargs.get("id", 0))

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """List the raw results of a monitor, the newest first."""
        return super().list(request, id)


class IntervalSerializer(StrictSerializer):
    """One stretch of time in one status, half-open."""

    id = fields.Integer(read_only=True)
    status = fields.Choice(choices=Status.choices, read_only=True)
    started_at = fields.Moment(read_only=True)
    ended_at = fields.Moment(
        read_only=True, allow_null=True, help_text="Null: it still lasts."
    )
    code = fields.Integer(read_only=True, source="reason")
    message = fields.Text(read_only=True)


class IntervalFilters(Filters):
    """Which stretches."""

    status = WordFilter(choices=Status.choices)
    since = MomentFilter(field_name="started_at", lookup_expr="gte")
    until = MomentFilter(field_name="started_at", lookup_expr="lt")


class IntervalResource(OfMonitor):
    """The status ledger, kept for ever."""

    resource = "monitor_intervals"
    serializer_class = IntervalSerializer
    filterset_class = IntervalFilters
    orderings: ClassVar = {"started_at": "started_at"}
    default_ordering = "-started_at"

    def get_queryset(self) -> QuerySet[StatusInterval]:
        return StatusInterval.objects.filter(monitor_id=self.kwargs.get("id", 0))

    def list(self, request: Request, id: int) -> HttpResponse:  # noqa: A002
        """List the status ledger of a monitor, the newest first."""
        return super().list(request, id)


class PeriodSerializer(StrictSerializer):
    """Uptime over a period that ends now. Percentages are rounded down."""

    period = fields.Choice(choices=list(WINDOWS), read_only=True)
    uptime_percent = fields.Number(
        read_only=True,
        allow_null=True,
        help_text="Of the observed time; null: nobody observed any.",
    )
    coverage_percent = fields.Number(
        read_only=True, allow_null=True, help_text="Observed of the time due."
    )
    seconds = serializers.DictField(
        child=fields.Number(), read_only=True, help_text="In each status."
    )


class UptimeSerializer(StrictSerializer):
    """Uptime from the ledger, by time and never by counting checks."""

    until = fields.Moment(read_only=True)
    periods = PeriodSerializer(many=True, read_only=True)


def period_of(name: str, uptime: Uptime) -> dict[str, Any]:
    """Return a period as its JSON object."""
    return {
        "period": name,
        "uptime_percent": _percent(uptime.ratio),
        "coverage_percent": _percent(uptime.coverage),
        "seconds": {
            status: round(getattr(uptime, f"{status}_s"), 3) for status in SECONDS
        },
    }


def _percent(ratio: float | None) -> float | None:
    return None if ratio is None else float(floor_percent(ratio, digits=3))
