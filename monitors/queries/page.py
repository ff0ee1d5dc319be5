"""Everything on the page of one monitor; always the same number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from incidents.models import Incident
from monitors import maintenance
from monitors.models import (
    CheckResult,
    HeartbeatPing,
    MaintenanceWindow,
    Monitor,
    MonitorState,
    ResultDetail,
    StatusInterval,
    Threshold,
    ThresholdState,
)
from monitors.pages.headline import Headline, Situation, headline
from monitors.pages.reasons import is_ours, reason_words
from monitors.probes import assertions
from monitors.probes.base import AssertionSpec
from monitors.queries.glances import expires_soon
from monitors.queries.latency import LENGTHS, PHASES, Latency, latency
from monitors.queries.ledger import monitor_days, uptimes
from monitors.queries.shown import shown_since, shown_status
from monitors.status import Status
from monitors.thresholds.scopes import Scopes
from monitors.thresholds.sentences import threshold_sentence
from monitors.uptime import DayUptime, Uptime
from t4g_portal.lib.retelling import retold

DAY_COUNT = 90
RESULT_COUNT = 12
OUTAGE_COUNT = 25
PING_COUNT = 12
INCIDENT_COUNT = 6
_MARK_COUNT = 60
_LOOK_AHEAD = timedelta(days=366)
# What the ledger of the page leaves out.
_UNEVENTFUL = (Status.UP, Status.PENDING)
_LEAST_REACH_BACK = timedelta(hours=1)
_SERIES_MEASURES = (Threshold.Measure.SERIES, Threshold.Measure.NO_DATA)


@dataclass(frozen=True, slots=True)
class MonitorTop:
    """The part of the page that refreshes: how it is, and its uptime."""

    now: datetime
    monitor: Monitor
    state: MonitorState | None
    headline: Headline
    uptimes: Mapping[str, Uptime]
    days: list[DayUptime]
    has_expiring_certificate: bool


@dataclass(frozen=True, slots=True)
class Outage:
    """A stretch of the ledger in which the monitor was not plainly up."""

    status: Status
    started_at: datetime
    ended_at: datetime | None
    length: timedelta
    cause: str


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One of the last results, with the words that were kept of a failure."""

    at: datetime
    is_passed: bool
    is_ours: bool
    words: str
    latency_ms: float | None
    detail: ResultDetail | None


@dataclass(frozen=True, slots=True)
class ThresholdLine:
    """A threshold that applies here, in words, and where it stands."""

    threshold: Threshold
    sentence: str
    level: str


@dataclass(frozen=True, slots=True)
class WindowLine:
    """A maintenance window over this monitor, and its present or next occurrence."""

    window: MaintenanceWindow
    coming: maintenance.Occurrence | None


@dataclass(frozen=True, slots=True)
class MonitorPage:
    """The page over a reach of `latency.LENGTHS`."""

    top: MonitorTop
    reach: str
    latency: Latency
    outages: list[Outage]
    outage_count: int
    results: list[ResultLine]
    pings: list[HeartbeatPing]
    expectations: list[str]
    thresholds: list[ThresholdLine]
    windows: list[WindowLine]
    # Newest first; those that began within the reach are marks on the chart.
    incidents: list[Incident]


def monitor_top(*, monitor_id: int, now: datetime) -> MonitorTop:
    """Return the top of the page; raises Monitor.DoesNotExist."""
    monitor = (
        Monitor.objects.for_pages().defer("secret", "state__facts").get(pk=monitor_id)
    )
    state: MonitorState | None = getattr(monitor, "state", None)
    newest = next(iter(_newest_results(monitor, state, count=1)), None)
    return MonitorTop(
        now=now,
        monitor=monitor,
        state=state,
        headline=headline(situation=_situation(monitor, state, newest, now), now=now),
        uptimes=uptimes(monitor_ids=[monitor_id], now=now)[monitor_id],
        days=monitor_days(
            monitor_id=monitor_id,
            zone=monitor.service.time_zone,
            day_count=DAY_COUNT,
            now=now,
        ),
        has_expiring_certificate=expires_soon(
            state.certificate_expires_at if state else None, now=now
        ),
    )


def monitor_page(*, monitor_id: int, reach: str, now: datetime) -> MonitorPage:
    """Return the whole page; raises Monitor.DoesNotExist and KeyError for the reach."""
    top = monitor_top(monitor_id=monitor_id, now=now)
    start = now - LENGTHS[reach]
    outages, outage_count = _outages(top, start)
    return MonitorPage(
        top=top,
        reach=reach,
        latency=latency(monitor_id=monitor_id, reach=reach, now=now),
        outages=outages,
        outage_count=outage_count,
        results=_results(top.monitor, top.state),
        pings=_pings(top.monitor),
        expectations=_expectations(top.monitor),
        thresholds=_thresholds(top.monitor),
        windows=_windows(top.monitor, now),
        incidents=_incidents(top.monitor),
    )


def _situation(
    monitor: Monitor,
    state: MonitorState | None,
    newest: CheckResult | None,
    now: datetime,
) -> Situation:
    if state is None:
        return Situation(
            status=Status.PENDING, since=None, is_heartbeat=monitor.is_heartbeat
        )
    status = shown_status(state, now)
    quiet_until = None
    if status == Status.MAINTENANCE:
        window = maintenance.windows_now(now=now).get(monitor.pk)
        quiet_until = window[2] if window else None
    return Situation(
        status=status,
        since=shown_since(state, now),
        # A row that nobody vouches for any more says nothing about now.
        message=state.message if status == state.status else "",
        configuration_error=state.configuration_error,
        is_heartbeat=monitor.is_heartbeat,
        is_flapping=state.is_flapping,
        phases_ms=_phases_ms(newest) if newest is not None else None,
        failure_count=state.failure_count,
        failures_to_down=monitor.failures_to_down,
        success_count=state.success_count,
        successes_to_up=monitor.successes_to_up,
        last_message=state.last_message,
        quiet_until=quiet_until,
    )


def _phases_ms(result: CheckResult) -> dict[str, float]:
    return {
        phase: value
        for phase in PHASES
        if (value := getattr(result, phase)) is not None
    }


def _newest_results(
    monitor: Monitor, state: MonitorState | None, *, count: int
) -> list[CheckResult]:
    """Return the newest results; how old they may be lets PostgreSQL skip partitions."""
    if state is None or state.last_result_at is None:
        return []
    reach = max(timedelta(seconds=3 * count * monitor.interval_s), _LEAST_REACH_BACK)
    results = CheckResult.objects.filter(
        monitor_id=monitor.pk, at__gte=state.last_result_at - reach
    )
    return list(results.order_by("-at")[:count])


def _outages(top: MonitorTop, start: datetime) -> tuple[list[Outage], int]:
    found = StatusInterval.objects.filter(
        Q(ended_at__isnull=True) | Q(ended_at__gt=start), monitor=top.monitor
    ).exclude(status__in=_UNEVENTFUL)
    return [
        Outage(
            status=Status(interval.status),
            started_at=interval.started_at,
            ended_at=interval.ended_at,
            length=(interval.ended_at or top.now) - interval.started_at,
            cause=retold(interval.message)
            or (reason_words(interval.reason) if interval.reason else ""),
        )
        for interval in found.order_by("-started_at")[:OUTAGE_COUNT]
    ], found.count()


def _results(monitor: Monitor, state: MonitorState | None) -> list[ResultLine]:
    results = _newest_results(monitor, state, count=RESULT_COUNT)
    details = list(
        ResultDetail.objects.filter(monitor=monitor).order_by("-at")[:RESULT_COUNT]
    )
    return [_line(result, details) for result in results]


def _line(result: CheckResult, details: Sequence[ResultDetail]) -> ResultLine:
    phases = _phases_ms(result)
    # Words are kept when they are new, so those of before still hold.
    detail = next(
        (one for one in details if one.at <= result.at and one.code == result.code),
        None,
    )
    return ResultLine(
        at=result.at,
        is_passed=result.code == 0,
        is_ours=is_ours(result.code),
        words=retold(detail.message) if detail else reason_words(result.code),
        latency_ms=sum(phases.values()) if phases else None,
        detail=detail,
    )


def _pings(monitor: Monitor) -> list[HeartbeatPing]:
    return list(
        HeartbeatPing.objects.filter(monitor=monitor).order_by("-at")[:PING_COUNT]
    )


def _expectations(monitor: Monitor) -> list[str]:
    return [
        assertions.describe(
            AssertionSpec(
                subject=row.subject,
                operator=row.operator,
                argument=row.argument,
                expected=row.expected,
            )
        )
        for row in monitor.assertions.order_by("position", "pk")
    ]


def _thresholds(monitor: Monitor) -> list[ThresholdLine]:
    candidates = (
        Threshold.objects.filter(
            Q(monitor=None) | Q(monitor=monitor),
            Q(service=None) | Q(service=monitor.service),
            is_enabled=True,
            tag__in=["", *monitor.tags],
        )
        .exclude(measure__in=_SERIES_MEASURES)
        .select_related("service", "monitor")
        .defer("monitor__secret")
        .order_by("critical_priority", "name")
    )
    applying = Scopes(candidates).for_monitor(
        monitor_id=monitor.pk, service_id=monitor.service_id, tags=monitor.tags
    )
    levels = dict(
        ThresholdState.objects.filter(monitor=monitor).values_list(
            "threshold_id", "level"
        )
    )
    return [
        ThresholdLine(
            threshold=threshold,
            sentence=threshold_sentence(threshold),
            level=levels.get(threshold.pk, ThresholdState.Level.OK),
        )
        for measure in Threshold.Measure.values
        for threshold in applying.get(measure, ())
    ]


def _windows(monitor: Monitor, now: datetime) -> list[WindowLine]:
    covering = (
        MaintenanceWindow.objects.filter(
            Q(monitors=monitor)
            | Q(services=monitor.service)
            | Q(tags__overlap=monitor.tags),
            is_enabled=True,
        )
        .distinct()
        .order_by("name")
    )
    return [
        WindowLine(window=window, coming=_coming(window, now)) for window in covering
    ]


def _coming(window: MaintenanceWindow, now: datetime) -> maintenance.Occurrence | None:
    try:
        found = maintenance.occurrences(
            spec=maintenance.spec_of(window), start=now, end=now + _LOOK_AHEAD
        )
    except maintenance.UnableToRepeat:
        return None
    return found[0] if found else None


def _incidents(monitor: Monitor) -> list[Incident]:
    found = Incident.objects.filter(
        service_id=monitor.service_id, alerts__source=f"monitor:{monitor.pk}"
    )
    return list(
        found.select_related("service", "acknowledged_by")
        .distinct()
        .order_by("-started_at")[:_MARK_COUNT]
    )
