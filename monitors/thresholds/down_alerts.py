"""The alert "is down": raised and ended with the status, and healed by the tick.

Its priority is that of the narrowest enabled threshold on "is down" that applies; where
none applies, nobody is told.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from incidents import intake
from incidents.models import Alert
from monitors.models import Monitor, MonitorState, Threshold
from monitors.status import Status
from monitors.thresholds.scopes import Scopes
from monitors.thresholds.sentences import alert_title
from monitors.thresholds.watched import Watched
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

KEY_PREFIX = "monitor:"
_KEY_END = ":down"
# In these it is known not to be down, or nobody wants to know.
OVER = frozenset({Status.UP, Status.DEGRADED, Status.PAUSED})


def judge_down(
    *, monitor: Monitor, is_down: bool, since: datetime, message: str, now: datetime
) -> None:
    """Raise or end the alert that a monitor is down, in the caller's transaction.

    `since` is when its first failure began, `message` what the probe saw. Where the
    threshold waits (`for_s`), the tick raises the alert later. Reads the monitor's
    service.
    """
    if not is_down:
        intake.resolve(dedup_key=_key(monitor.pk), now=now, detail=message)
        return
    thresholds = Threshold.objects.filter(
        measure=Threshold.Measure.DOWN, is_enabled=True
    )
    threshold = strongest(
        Scopes(thresholds), monitor.pk, monitor.service_id, monitor.tags, now - since
    )
    if threshold is not None:
        _raise(monitor, threshold, since, message, now)


def among(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """Return those of some alerts that say that a monitor is down."""
    return alerts.filter(dedup_key__startswith=KEY_PREFIX, dedup_key__endswith=_KEY_END)


def raising_order(monitor: Monitor) -> tuple[int, str]:
    """Return what to sort by before several monitors change in one transaction.

    The order that `incidents.intake` asks for.
    """
    return monitor.service_id, _key(monitor.pk)


def reconcile(
    *,
    scopes: Scopes,
    watched: Collection[Watched],
    firing: Mapping[str, str],
    now: datetime,
) -> int:
    """Raise what is missing, end what is orphaned, follow thresholds that were edited.

    `watched`: all enabled monitors. `firing`: the priorities of firing alerts by dedup
    key, read before the monitors. Maintenance and unknown leave an alert as it is.
    Returns how many monitors were looked at closely.
    """
    known = {row.monitor_id: row for row in watched}
    suspicious = set()
    for row in known.values():
        if row.down_since is not None:
            lasted = now - row.down_since
            threshold = strongest(
                scopes, row.monitor_id, row.service_id, row.tags, lasted
            )
            wanted = threshold.critical_priority if threshold else None
            if wanted != firing.get(_key(row.monitor_id)):
                suspicious.add(row.monitor_id)
    for monitor_id in filter(None, map(_monitor_of, firing)):
        found = known.get(monitor_id)
        if found is None or found.status in OVER:
            suspicious.add(monitor_id)
    for monitor_id in sorted(suspicious):
        try:
            _settle(scopes, monitor_id, now)
        except Exception:
            logger.exception("the down alert of monitor %s can't be set", monitor_id)
    return len(suspicious)


@transaction.atomic
def _settle(scopes: Scopes, monitor_id: int, now: datetime) -> None:
    """Look again with the state locked, so that no status change gets in between."""
    key = _key(monitor_id)
    state = (
        MonitorState.objects.select_for_update(of=("self",), no_key=True)
        .select_related("monitor__service")
        .defer("monitor__secret")
        .filter(pk=monitor_id)
        .first()
    )
    if state is None or not state.monitor.is_enabled or state.status in OVER:
        intake.resolve(dedup_key=key, now=now)
        return
    if state.status != Status.DOWN:
        return
    monitor = state.monitor
    threshold = strongest(
        scopes, monitor.pk, monitor.service_id, monitor.tags, now - state.since
    )
    if threshold is None:
        intake.resolve(dedup_key=key, now=now)
    else:
        _raise(monitor, threshold, state.since, state.message, now)


def strongest(
    scopes: Scopes,
    monitor_id: int,
    service_id: int,
    tags: Sequence[str],
    lasted: timedelta,
) -> Threshold | None:
    """Return the threshold of the highest priority that applies already."""
    return min(
        (
            threshold
            for threshold in scopes.for_monitor(
                monitor_id=monitor_id, service_id=service_id, tags=tags
            ).get(Threshold.Measure.DOWN, ())
            if lasted >= timedelta(seconds=threshold.for_s)
        ),
        key=lambda threshold: threshold.critical_priority,
        default=None,
    )


def _raise(
    monitor: Monitor,
    threshold: Threshold,
    since: datetime,
    message: str,
    now: datetime,
) -> None:
    with source_language():
        title = alert_title(threshold, monitor.name)
    intake.trigger(
        dedup_key=_key(monitor.pk),
        service=monitor.service,
        title=title,
        priority=threshold.critical_priority,
        started_at=since,
        now=now,
        detail=message,
        source=f"monitor:{monitor.pk}",
        runbook_url=monitor.runbook_url,
        is_public=monitor.counts_for_service,
    )


def _key(monitor_id: int) -> str:
    return f"{KEY_PREFIX}{monitor_id}{_KEY_END}"


def _monitor_of(key: str) -> int | None:
    """Return the monitor that a dedup key is about, None for other keys."""
    middle = key.removeprefix(KEY_PREFIX).removesuffix(_KEY_END)
    is_ours = key == f"{KEY_PREFIX}{middle}{_KEY_END}" and middle.isdecimal()
    return int(middle) if is_ours else None
