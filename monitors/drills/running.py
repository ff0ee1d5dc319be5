"""Starting, ending and signing drills. Only this writes `Drill` rows.

A drill takes the real road: results of a probe that fails, judged like any other, then
the one door that raises. It differs from an outage in what it leaves alone: the
monitor's own results, status and uptime are never touched, and the incident is marked.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import cast

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from incidents import intake
from incidents.models import Alert, EscalationPolicy, Incident
from monitors.drills.reports import Report, report_of
from monitors.evaluation import Standing, evaluate
from monitors.models import Drill, DrillPlan, Monitor
from monitors.probes.base import Outcome
from monitors.recording import rules_of
from monitors.status import Status
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import source_language

logger = logging.getLogger(__name__)

MIN_LENGTH, MAX_LENGTH = timedelta(minutes=1), timedelta(hours=4)
DEFAULT_LENGTH = timedelta(minutes=30)
# After the acknowledgement, so that receipts come in before the report is kept.
LINGERS = timedelta(seconds=30)
MAX_REMARK = 2000


class UnableToStart(Exception):
    """One runs already for this monitor, or the length makes no sense."""


class UnableToStop(Exception):
    """It has ended."""


class UnableToSign(Exception):
    """It still runs, or somebody has signed it."""


def start(
    *,
    monitor: Monitor,
    priority: str,
    now: datetime,
    user: User | None = None,
    policy: EscalationPolicy | None = None,
    plan: DrillPlan | None = None,
    due_at: datetime | None = None,
    length: timedelta = DEFAULT_LENGTH,
) -> Drill:
    """Let a monitor seem to be down and page for it, marked as a drill.

    `policy` None takes the one that a real incident would take. It ends by itself
    after `length`, or soon after somebody acknowledged. Raises UnableToStart, and
    ValueError for an unknown priority.
    """
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise UnableToStart(_("A drill lasts from 1 minute to 4 hours."))
    with transaction.atomic():
        # Two who press the button at once: the second waits, and is told.
        Monitor.objects.select_for_update(no_key=True).only("pk").get(pk=monitor.pk)
        if Drill.objects.filter(monitor=monitor, status=Drill.Status.RUNNING).exists():
            raise UnableToStart(
                _("A drill of this monitor is running. Let it end or stop it.")
            )
        alert = _raise(monitor, Priority(priority).value, policy, now)
        incident = alert.incident
        return Drill.objects.create(
            plan=plan,
            due_at=due_at,
            monitor=monitor,
            monitor_name=monitor.name,
            policy_name=incident.policy.get("name", ""),
            priority=priority,
            incident=incident,
            started_at=now,
            started_by=user,
            ends_by=now + length,
        )


def advance(*, now: datetime) -> int:
    """End the drills that are over: acknowledged, or past their time; return how many.

    Any number of engines may run it at once.
    """
    count = 0
    running = Drill.objects.filter(status=Drill.Status.RUNNING).order_by("pk")
    for pk in list(running.values_list("pk", flat=True)):
        try:
            count += _end_if_over(pk, now)
        except Exception:
            # The others go on; this one is looked at again at the next tick.
            logger.exception("drill %s can't be ended", pk)
    return count


def stop(*, drill_id: int, now: datetime) -> Drill:
    """End a drill before its time; it proves nothing. Raises UnableToStop."""
    with transaction.atomic():
        drill = _locked(drill_id)
        if drill is None:
            raise UnableToStop(_("The drill has ended."))
        return _end(drill, Drill.Status.STOPPED, now)


def sign(*, drill_id: int, user: User, remark: str, now: datetime) -> Drill:
    """Sign a report, as it is now; it never changes after. Raises UnableToSign."""
    remark = remark.replace("\x00", "").strip()
    if len(remark) > MAX_REMARK:
        raise UnableToSign(
            _("The remark has %(length)d characters; %(limit)d fit. Shorten it.")
            % {"length": len(remark), "limit": MAX_REMARK}
        )
    with transaction.atomic():
        drill = (
            Drill.objects.select_for_update(of=("self",))
            .select_related("incident", "signed_by")
            .get(pk=drill_id)
        )
        if drill.status == Drill.Status.RUNNING:
            raise UnableToSign(_("The drill is still running. Sign when it has ended."))
        if drill.signed_by is not None:
            raise UnableToSign(_("The report is signed already."))
        # Receipts may have come in since the end.
        drill.report = report_of(incident=drill.incident).to_json()
        drill.signed_by, drill.signed_at, drill.remark = user, now, remark
        drill.save()
        return drill


def report(*, drill: Drill) -> Report:
    """Return what a drill has proved so far; as it was signed, when it was."""
    if drill.signed_at is not None:
        return Report.from_json(drill.report)
    return report_of(incident=drill.incident)


def _raise(
    monitor: Monitor,
    priority: str,
    policy: EscalationPolicy | None,
    now: datetime,
) -> Alert:
    with source_language():
        title = pgettext("stored", "%(monitor)s is down (drill)") % {
            "monitor": monitor.name
        }
        detail = pgettext(
            "stored", "This is a drill: nothing is broken. Acknowledge as always."
        )
    key = f"drill:{monitor.pk}:{now.isoformat()}"
    alert = intake.trigger(
        dedup_key=key,
        # Of its own: it neither joins a real incident nor hides one.
        grouping_key=key,
        service=monitor.service,
        title=title,
        detail=detail,
        priority=priority,
        started_at=_down_since(monitor, now),
        now=now,
        source=f"monitor:{monitor.pk}",
        runbook_url=monitor.runbook_url,
        is_public=False,
        is_drill=True,
        policy=policy,
    )
    # No deploy window holds a drill back.
    return cast(Alert, alert)


def _down_since(monitor: Monitor, now: datetime) -> datetime:
    """Let the judge of real results judge failing ones; return since when it is down."""
    rules = rules_of(monitor)
    apart = timedelta(seconds=rules.retry_interval_s or rules.interval_s)
    at = now - apart * (rules.failures_to_down - 1)
    standing = Standing(confirmed=Status.UP, confirmed_since=at - apart)
    for position in range(rules.failures_to_down):
        verdict = evaluate(
            standing=standing,
            at=at + apart * position,
            outcome=Outcome.FAILED,
            rules=rules,
        )
        standing = verdict.standing
    if standing.confirmed != Status.DOWN:
        raise UnableToStart(
            _("So many failures don't make it down. Look at the monitor's settings.")
        )
    return standing.confirmed_since


def _end_if_over(pk: int, now: datetime) -> bool:
    with transaction.atomic():
        drill = _locked(pk, skip_locked=True)
        if drill is None:
            return False
        if not _is_over(drill, now):
            return False
        _end(drill, None, now)
        return True


def _is_over(drill: Drill, now: datetime) -> bool:
    acknowledged_at = drill.incident.first_acknowledged_at
    if now >= drill.ends_by or not drill.incident.is_open:
        return True
    return acknowledged_at is not None and now - acknowledged_at >= LINGERS


def _end(drill: Drill, status: str | None, now: datetime) -> Drill:
    for alert in drill.incident.alerts.filter(status=Alert.Status.FIRING):
        intake.resolve(dedup_key=alert.dedup_key, now=now)
    found = report_of(incident=drill.incident)
    drill.status = status or _judged(found)
    drill.ended_at = now
    drill.report = found.to_json()
    drill.save()
    return drill


def _judged(found: Report) -> str:
    if found.acknowledged is None:
        return Drill.Status.FAILED
    has_left = any(way.sent_at for way in found.ways)
    if found.failed_ways or not has_left:
        return Drill.Status.PARTLY
    return Drill.Status.PROVEN


def _locked(pk: int, *, skip_locked: bool = False) -> Drill | None:
    """Lock a running drill after its incident, as the engine's acts do."""
    incident_id = Drill.objects.values_list("incident_id", flat=True).get(pk=pk)
    incidents = Incident.objects.select_for_update(
        of=("self",), skip_locked=skip_locked
    )
    incident = incidents.select_related("service").filter(pk=incident_id).first()
    if incident is None:
        return None
    drill = (
        Drill.objects.select_for_update(of=("self",), skip_locked=skip_locked)
        .filter(pk=pk, status=Drill.Status.RUNNING)
        .first()
    )
    if drill is not None:
        drill.incident = incident
    return drill
