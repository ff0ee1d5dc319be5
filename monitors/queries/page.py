"""Everything on the page of one monitor; always the same number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, Window

from incidents.models import Alert, Incident
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
from monitors.queries.latency import PHASES, Latency, Reach, latency
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
_MARK_COUNT = 60
_SOON = timedelta(days=8)
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
    """A maintenance window over this monitor, with the occurrences around now."""

    window: MaintenanceWindow
    # The present one, or the next within a year.
    coming: maintenance.Occurrence | None
    # The last one that is over, of the days that the page looks back on.
    last: maintenance.Occurrence | None


@dataclass(frozen=True, slots=True)
class Record:
    """The other part that refreshes: what happened in a reach, and the last results."""

    monitor: Monitor
    # The newest ones of `outage_count`.
    outages: list[Outage]
    outage_count: int
    results: list[ResultLine]
    pings: list[HeartbeatPing]


@dataclass(frozen=True, slots=True)
class MonitorPage:
    """The page over a reach."""

    top: MonitorTop
    record: Record
    reach: Reach
    latency: Latency
    expectations: list[str]
    thresholds: list[ThresholdLine]
    windows: list[WindowLine]
    # Newest first, up to the reach's end; those that began in it are marks on the chart.
    incidents: list[Incident]


def monitor_top(*, monitor_id: int, now: datetime) -> MonitorTop:
    """Return the top of the page; raises Monitor.DoesNotExist."""
    monitor, state = _monitor(monitor_id)
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


def monitor_page(*, monitor_id: int, reach: Reach, now: datetime) -> MonitorPage:
    """Return the whole page; raises Monitor.DoesNotExist."""
    top = monitor_top(monitor_id=monitor_id, now=now)
    return MonitorPage(
        top=top,
        record=_record(top.monitor, top.state, reach, now),
        reach=reach,
        latency=latency(monitor_id=monitor_id, reach=reach, now=now),
        expectations=_expectations(top.monitor),
        thresholds=_thresholds(top.monitor),
        windows=_windows(top.monitor, now),
        incidents=_incidents(top.monitor, reach),
    )


def monitor_record(*, monitor_id: int, reach: Reach, now: datetime) -> Record:
    """Return what happened; raises Monitor.DoesNotExist."""
    monitor, state = _monitor(monitor_id)
    return _record(monitor, state, reach, now)


def _monitor(monitor_id: int) -> tuple[Monitor, MonitorState | None]:
    monitor = (
        Monitor.objects.for_pages().defer("secret", "state__facts").get(pk=monitor_id)
    )
    return monitor, getattr(monitor, "state", None)


def _record(
    monitor: Monitor, state: MonitorState | None, reach: Reach, now: datetime
) -> Record:
    outages, outage_count = _outages(monitor, reach, now)
    return Record(
        monitor=monitor,
        outages=outages,
        outage_count=outage_count,
        results=[] if monitor.is_heartbeat else _results(monitor, state),
        pings=_pings(monitor) if monitor.is_heartbeat else [],
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


def _outages(monitor: Monitor, reach: Reach, now: datetime) -> tuple[list[Outage], int]:
    found = (
        StatusInterval.objects.filter(
            Q(ended_at__isnull=True) | Q(ended_at__gt=reach.start),
            monitor=monitor,
            started_at__lt=reach.end,
        )
        .exclude(status__in=_UNEVENTFUL)
        .annotate(all_count=Window(Count("*")))
        .order_by("-started_at")[:OUTAGE_COUNT]
    )
    outages = [
        Outage(
            status=Status(interval.status),
            started_at=interval.started_at,
            ended_at=interval.ended_at,
            length=(interval.ended_at or now) - interval.started_at,
            cause=retold(interval.message)
            or (reason_words(interval.reason) if interval.reason else ""),
        )
        for interval in found
    ]
    return outages, found[0].all_count if outages else 0


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
        WindowLine(window=window, coming=_coming(window, now), last=_last(window, now))
        for window in covering
    ]


def _coming(window: MaintenanceWindow, now: datetime) -> maintenance.Occurrence | None:
    # Most windows come every week: a year of them is looked through for the others.
    for ahead in (_SOON, _LOOK_AHEAD):
        found = _occurrences(window, now, now + ahead)
        if found:
            return found[0]
    return None


def _last(window: MaintenanceWindow, now: datetime) -> maintenance.Occurrence | None:
    for back in (_SOON, timedelta(days=DAY_COUNT)):
        over = [
            one for one in _occurrences(window, now - back, now) if one.ends_at <= now
        ]
        if over:
            return over[-1]
    return None


def _occurrences(
    window: MaintenanceWindow, start: datetime, end: datetime
) -> list[maintenance.Occurrence]:
    try:
        return maintenance.occurrences(
            spec=maintenance.spec_of(window), start=start, end=end
        )
    except maintenance.UnableToRepeat:
        return []


def _incidents(monitor: Monitor, reach: Reach) -> list[Incident]:
    alerts = Alert.objects.filter(source=f"monitor:{monitor.pk}")
    found = Incident.objects.filter(
        pk__in=alerts.values("incident"), started_at__lt=reach.end
    )
    return list(
        found.select_related("service", "acknowledged_by").order_by("-started_at")[
            :_MARK_COUNT
        ]
    )
