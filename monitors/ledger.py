"""The status that pages show and the ledger counts, and its one way to change.

Precedence: paused, maintenance, then what the probes confirmed, where an up that a
threshold complains about counts as degraded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitors import maintenance
from monitors.models import Monitor, MonitorState, StatusInterval
from monitors.status import Status
from monitors.thresholds import down_alerts

_HIDING = frozenset({Status.PAUSED, Status.MAINTENANCE})
_ANSWERING = frozenset({Status.UP, Status.DEGRADED})
# The tick sees a window so soon after its start, however busy it is. One that covers
# results of later was planned when they were there already.
_NOTICED_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Change:
    """A new status with when it began and why."""

    status: str
    since: datetime
    reason: int = 0
    message: str = ""


def confirmed_status(state: MonitorState) -> str:
    """Return what the probes and thresholds say, below pause and maintenance."""
    if state.confirmed == Status.UP and state.is_degraded:
        return str(Status.DEGRADED)
    return state.confirmed


def follow(*, state: MonitorState, confirmed: Change, now: datetime) -> None:
    """Move the ledger to what was confirmed, as far as no pause or window hides it.

    Inside the caller's transaction, with the state's row locked; the caller saves it.
    """
    monitor = state.monitor
    change = _overlay(state, confirmed, now)
    is_hidden = change is not confirmed
    if state.status in _HIDING:
        # What happened inside stays inside.
        change = replace(change, since=max(change.since, now))
    elif (
        is_hidden
        and confirmed.status == Status.UNKNOWN
        and confirmed.since < change.since
    ):
        # The part of a gap that lies before a window is no maintenance.
        shift(monitor=monitor, state=state, change=confirmed, now=now)
    if change.status != state.status:
        shift(monitor=monitor, state=state, change=change, now=now)
    if is_hidden and confirmed.status in _ANSWERING:
        # Whoever was told before the window hears in it that it is over.
        _tell(monitor, confirmed, now, now)


def shift(
    *, monitor: Monitor, state: MonitorState, change: Change, now: datetime
) -> None:
    """Move the open interval of the ledger to a new status, and tell the thresholds.

    Inside the caller's transaction, with the state's row locked. `change.since` may lie
    in the past; it never reaches before the open interval, so a window's border and an
    earlier status are never rewritten. Changes `state` in place; the caller saves it.
    """
    since = _move_open_interval(monitor.pk, change)
    state.status = change.status
    state.since = since
    state.reason = change.reason
    state.message = change.message
    _tell(monitor, change, since, now)


def _overlay(state: MonitorState, confirmed: Change, now: datetime) -> Change:
    """Return what a confirmed change counts as: it hides under pause and windows."""
    monitor = state.monitor
    if not monitor.is_enabled:
        return Change(status=str(Status.PAUSED), since=now)
    window = maintenance.windows_now(now=now).get(monitor.pk)
    if window is None:
        return confirmed
    name, started_at, _ = window
    noticed_by = started_at + _NOTICED_WITHIN
    is_planned_late = state.since >= started_at or (
        state.last_result_at is not None and state.last_result_at > noticed_by
    )
    return Change(
        status=str(Status.MAINTENANCE),
        # What was seen before somebody called it maintenance stays what it was.
        since=now if is_planned_late else started_at,
        message=name,
    )


def _move_open_interval(monitor_id: int, change: Change) -> datetime:
    intervals = StatusInterval.objects.filter(monitor_id=monitor_id)
    opened = intervals.filter(ended_at__isnull=True).first()
    if opened is not None and change.since > opened.started_at:
        intervals.filter(pk=opened.pk).update(ended_at=change.since)
    elif opened is not None:
        # Nothing of the open one is left, so the new one takes its place.
        opened.delete()
        before = intervals.filter(
            ended_at=opened.started_at, status=change.status
        ).first()
        if before is not None:
            intervals.filter(pk=before.pk).update(ended_at=None)
            return before.started_at
    since = max(change.since, opened.started_at) if opened else change.since
    intervals.create(
        monitor_id=monitor_id,
        status=change.status,
        started_at=since,
        reason=change.reason,
        message=change.message,
    )
    return since


def _tell(monitor: Monitor, change: Change, since: datetime, now: datetime) -> None:
    """Raise or end the alert "is down". Unknown and maintenance leave it as it is."""
    if change.status == Status.DOWN:
        is_down = True
    elif change.status in (Status.UP, Status.DEGRADED, Status.PAUSED):
        is_down = False
    else:
        return
    down_alerts.judge_down(
        monitor=monitor,
        is_down=is_down,
        since=since,
        message=change.message,
        now=now,
    )
