"""The one way to judge: thresholds against measurements, and alerts out of that.

Deciding (`monitors.thresholds.assessing`, `monitors.thresholds.alerting`) comes first and locks nothing; then
what changed is written in small transactions, each a standing with its alert.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from incidents import intake
from incidents.models import Service
from monitors import recording
from monitors.models import Monitor, MonitorState, Threshold
from monitors.thresholds import down_alerts, measuring, standings
from monitors.thresholds.alerting import Case, Round, Step
from monitors.thresholds.assessing import Assessor
from monitors.thresholds.rhythm import LOOKBACK
from monitors.thresholds.scopes import Scopes
from monitors.thresholds.sentences import say_slowest_phase
from monitors.thresholds.watched import watched_monitors
from t4g_portal.lib.loops import awake_since
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

# The loop that comes round here.
LOOP = "monitors.judge"
# Subjects whose alerts change in one transaction: a storm must not hold its locks long.
_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Judgement:
    """How much one round changed."""

    standing_count: int
    alert_count: int
    failed_count: int


def judge_all(*, now: datetime) -> Judgement:
    """Hold every enabled threshold against what was measured up to `now`.

    Raises, changes and ends alerts, and notes which monitors are degraded. Judging the
    same measurements again changes nothing; of two rounds at once the later wins. A
    subject whose alert can't be raised is logged, and tried again in the next round.
    Raises the database's errors.
    """
    # First, so that an alert seen here has its standing committed when that is read.
    firing = _firing_alerts()
    thresholds = list(Threshold.objects.filter(is_enabled=True).order_by("pk"))
    scopes = Scopes(thresholds)
    watched = watched_monitors(now=now)
    down_alerts.reconcile(scopes=scopes, watched=watched, firing=firing, now=now)
    known = standings.load(judged_after=now - LOOKBACK)
    assessor = Assessor(
        scopes=scopes,
        watched=watched,
        standings=known,
        now=now,
        awake_since=_awake_since(thresholds, now),
    )
    found = Round(
        thresholds=thresholds,
        assessor=assessor,
        known=known,
        assessments=assessor.assess(),
        firing=firing,
        now=now,
    )
    with source_language():
        cases = _cases(found, now)
    return _write_all(cases, now)


def _awake_since(thresholds: Iterable[Threshold], now: datetime) -> datetime | None:
    """Read when we came back, where a threshold waits for data that others send."""
    if any(one.measure == Threshold.Measure.NO_DATA for one in thresholds):
        return awake_since(name=LOOP, now=now)
    return None


def _firing_alerts() -> dict[str, str]:
    """Return the priorities of what fires and is ours, held back or not, by dedup key."""
    found = intake.firing(
        where=Q(dedup_key__startswith=standings.KEY_PREFIX)
        | Q(dedup_key__startswith=down_alerts.KEY_PREFIX)
    )
    return {key: firing.priority for key, firing in found.items()}


def _cases(found: Round, now: datetime) -> list[Case]:
    phases = measuring.slowest_phases(
        subjects=found.newly_slow(), since=now - LOOKBACK, until=now
    )
    return found.cases(
        phases={
            monitor_id: say_slowest_phase(*slowest)
            for monitor_id, slowest in phases.items()
        }
    )


def _write_all(cases: Sequence[Case], now: datetime) -> Judgement:
    plain = [case for case in cases if case.is_plain]
    written = standings.save(
        standings={place: to for case in plain for place, to in case.standings.items()}
    )
    loud = sorted(
        (case for case in cases if not case.is_plain),
        # In the order of their ids, like everybody who locks states of monitors.
        key=lambda case: case.subject or ("", 0),
    )
    sources = _sources(loud)
    failed_count = 0
    for start in range(0, len(loud), _AT_ONCE):
        batch = loud[start : start + _AT_ONCE]
        if not _try(batch, sources, now):
            # Singly, so that one that can't be written keeps nobody else from it.
            failed_count += sum(not _try([case], sources, now) for case in batch)
    return Judgement(
        standing_count=len(written) + sum(len(case.standings) for case in loud),
        alert_count=sum(len(case.steps) for case in loud),
        failed_count=failed_count,
    )


@dataclass(frozen=True, slots=True)
class _Sources:
    """What alerts need of services and monitors beside their numbers."""

    services: Mapping[int, Service]
    # Runbook, and whether the service counts it, by the monitor's source.
    monitors: Mapping[str, tuple[str, bool]]


def _sources(cases: Iterable[Case]) -> _Sources:
    raised = [
        (case.subject, step)
        for case in cases
        for step in case.steps
        if not step.is_over
    ]
    monitors = {
        subject.id: subject.source
        for subject, _step in raised
        if subject is not None and subject.kind == standings.MONITOR
    }
    return _Sources(
        services=Service.objects.in_bulk(
            {step.service_id for _subject, step in raised}
        ),
        monitors={
            monitors[pk]: (runbook_url, counts)
            for pk, runbook_url, counts in Monitor.objects.filter(
                pk__in=monitors
            ).values_list("pk", "runbook_url", "counts_for_service")
        },
    )


def _try(cases: Sequence[Case], sources: _Sources, now: datetime) -> bool:
    try:
        _write(cases, sources, now)
    except Exception:
        logger.exception("judging %s could not be written", _names(cases))
        return False
    return True


@transaction.atomic
def _write(cases: Sequence[Case], sources: _Sources, now: datetime) -> None:
    written = standings.save(
        standings={place: to for case in cases for place, to in case.standings.items()}
    )
    standings.forget(places=[place for case in cases for place in case.forgotten])
    # What another round has judged further meanwhile is its to tell.
    ours = [case for case in cases if written.issuperset(case.standings)]
    for case in ours:
        _degrade(case, now)
    steps = [step for case in ours for step in case.steps]
    # What this round raises and ends at once has its group from being raised.
    groups = {
        step.dedup_key: (step.service_id, step.grouping_key)
        for step in steps
        if not step.is_over
    } | _groups_of(step.dedup_key for step in steps if step.is_over)
    # The order that `incidents.intake` asks for.
    for step in sorted(
        steps,
        key=lambda step: (
            groups.get(step.dedup_key, (0, "")),
            step.dedup_key,
        ),
    ):
        _tell(step, sources, now)


def _groups_of(dedup_keys: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Return service and grouping key of what fires under some keys."""
    keys = list(dedup_keys)
    if not keys:
        return {}
    found = intake.firing(where=Q(dedup_key__in=keys))
    return {
        key: (firing.service_id, firing.grouping_key) for key, firing in found.items()
    }


def _degrade(case: Case, now: datetime) -> None:
    if case.degrading is None or case.subject is None:
        return
    if not MonitorState.objects.filter(pk=case.subject.id).exists():
        return
    recording.set_degraded(
        monitor_id=case.subject.id,
        is_degraded=case.degrading.is_degraded,
        since=case.degrading.since,
        message=case.degrading.message,
        now=now,
    )


def _tell(step: Step, sources: _Sources, now: datetime) -> None:
    if step.is_over:
        intake.resolve(dedup_key=step.dedup_key, now=now, detail=step.detail)
        return
    service = sources.services.get(step.service_id)
    # Deleted with its monitors a moment ago.
    if service is None:
        return
    runbook_url, counts = sources.monitors.get(step.source, ("", False))
    intake.trigger(
        dedup_key=step.dedup_key,
        service=service,
        title=step.title,
        priority=step.priority,
        started_at=step.started_at or now,
        now=now,
        detail=step.detail,
        source=step.source,
        grouping_key=step.grouping_key,
        runbook_url=runbook_url,
        is_public=counts and step.is_degrading,
    )


def _names(cases: Iterable[Case]) -> str:
    return ", ".join(case.subject.source if case.subject else "-" for case in cases)
