"""What the pages of drills show, ready for templates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from incidents.models import IncidentEvent
from monitors.drills import running
from monitors.drills.plans import next_times
from monitors.drills.reports import Report, Way
from monitors.models import Drill, DrillPlan
from notifications.models.channel import channel_kinds
from notifications.models.contact import method_kinds
from t4g_portal.lib.wording import duration, milliseconds

SHOWN_COUNT = 50
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class WayLine:
    """One way of a report."""

    to: str
    method: str
    state: str
    page_count: int
    # How long after the failure, in words; empty: not.
    sent: str
    delivered: str
    problem: str


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A report for reading."""

    triggered_at: datetime
    ways: list[WayLine]
    # How long after the failure, in words.
    acknowledged: str
    acknowledged_at: datetime | None
    who: str
    via: str


@dataclass(frozen=True, slots=True)
class PlanLine:
    """A plan and when it runs next; None: never, or disabled."""

    plan: DrillPlan
    next_at: datetime | None


def report_page(report: Report) -> ReportPage:
    """Return a report with its seconds and labels in the active language."""
    acknowledged = report.acknowledged
    return ReportPage(
        triggered_at=report.triggered_at,
        ways=[_line(report, way) for way in report.ways],
        acknowledged=_after(report, acknowledged.at if acknowledged else None),
        acknowledged_at=acknowledged.at if acknowledged else None,
        who=acknowledged.who if acknowledged else "",
        via=_via(acknowledged.via) if acknowledged else "",
    )


def recent(*, limit: int = SHOWN_COUNT) -> list[Drill]:
    """Load the last drills, the newest first; one query."""
    return list(_drills().order_by("-started_at")[:limit])


def one(*, pk: int) -> Drill:
    """Load a drill with all its page needs; raises Drill.DoesNotExist."""
    return _drills().get(pk=pk)


def latest_proof(*, priority: str = "p0") -> Drill | None:
    """Return the last drill of a priority that ended by itself; one query."""
    ended = (
        _drills()
        .filter(priority=priority)
        .exclude(status__in=[Drill.Status.RUNNING, Drill.Status.STOPPED])
    )
    return ended.order_by("-started_at").first()


def plan_lines(*, now: datetime) -> list[PlanLine]:
    """Load the plans with when each runs next; one query."""
    plans = DrillPlan.objects.select_related("monitor").defer("monitor__secret")
    return [PlanLine(plan, next_run(plan, now=now)) for plan in plans.order_by("name")]


def kept_report(drill: Drill) -> ReportPage | None:
    """Return the report that was kept at the end; None while it runs."""
    return report_page(Report.from_json(drill.report)) if drill.report else None


def live_report(drill: Drill) -> ReportPage:
    """Return the report as of now, or as it was signed."""
    return report_page(running.report(drill=drill))


def _drills() -> QuerySet[Drill]:
    return Drill.objects.select_related(
        "incident__service", "started_by", "signed_by", "plan"
    ).defer("incident__policy")


def next_run(plan: DrillPlan, *, now: datetime) -> datetime | None:
    """Return when a plan runs next; None when it is off."""
    if not plan.is_enabled:
        return None
    try:
        found = next_times(
            schedule=plan.schedule, time_zone=plan.time_zone, after=now, count=1
        )
    except ValueError:
        return None
    return found[0] if found else None


def _line(report: Report, way: Way) -> WayLine:
    return WayLine(
        to=way.to,
        method=_method(way.method),
        state=way.state,
        page_count=way.page_count,
        sent=_after(report, way.sent_at),
        delivered=_after(report, way.delivered_at),
        problem=way.problem,
    )


def _after(report: Report, at: datetime | None) -> str:
    """Say how long after the failure; below a minute the tenths tell roads apart."""
    seconds = report.after_s(at)
    if seconds is None:
        return ""
    return duration(seconds) if seconds >= _MINUTE_S else milliseconds(seconds * 1000)


def _method(name: str) -> str:
    return {**dict(method_kinds()), **dict(channel_kinds())}.get(name, name)


def _via(value: str) -> str:
    return str(dict(IncidentEvent.Via.choices).get(value, value))
