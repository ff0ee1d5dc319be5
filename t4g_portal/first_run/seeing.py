"""What the first run shows of a monitor: its first result, and who would be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, When

from incidents import priorities
from incidents.escalation.expanding import Resort, decide
from incidents.reach import world_of
from monitors.models import CheckResult, Monitor, ResultDetail, Threshold
from monitors.pages.headline import phase_names
from monitors.queries.shown import shown_status
from monitors.status import Status
from monitors.thresholds.scopes import Scopes
from notifications.models import Notification
from notifications.services import TEST_PURPOSE
from t4g_portal.lib.priority import Priority

# A first result is looked for so far back.
_RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The newest result of a monitor: each phase in its order, or why it failed."""

    at: datetime
    is_passed: bool
    phases: Sequence[tuple[str, float]]
    total_ms: float
    message: str


@dataclass(frozen=True, slots=True)
class WouldTell:
    """What happens when a monitor breaks. `priority` None: nobody is told."""

    failures: int
    after_s: int
    priority: Priority | None
    names: Sequence[str]
    repeat_s: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Step three."""

    monitor: Monitor
    status: Status
    outcome: Outcome | None
    would_tell: WouldTell


def chosen_monitor(*, asked: str) -> Monitor | None:
    """Return the monitor to look at: the one asked for, else the newest."""
    monitors = Monitor.objects.select_related("service", "state").defer("secret")
    if asked.isdecimal() and len(asked) < 10:
        found = monitors.filter(pk=int(asked)).first()
        if found is not None:
            return found
    # Something that answers has more to show than a job that calls.
    return (
        monitors.filter(is_enabled=True)
        .order_by(Case(When(kind="heartbeat", then=1), default=0), "-created_at", "-pk")
        .first()
    )


def see(*, monitor: Monitor, now: datetime) -> Seen:
    """Return what there is to see of a monitor."""
    return Seen(
        monitor=monitor,
        status=Status(shown_status(getattr(monitor, "state", None), now)),
        outcome=_outcome(monitor, now),
        would_tell=_would_tell(monitor, now),
    )


def last_test(*, now: datetime) -> Notification | None:
    """Return the newest test message of the last hour."""
    return (
        Notification.objects.filter(purpose=TEST_PURPOSE, queued_at__gte=now - _RECENT)
        .select_related("channel")
        .defer("channel__secret")
        .order_by("-queued_at")
        .first()
    )


def _outcome(monitor: Monitor, now: datetime) -> Outcome | None:
    result = (
        CheckResult.objects.filter(monitor=monitor, at__gte=now - _RECENT)
        .order_by("-at")
        .first()
    )
    if result is None:
        return None
    phases = [
        (name, value)
        for column, name in phase_names().items()
        if (value := getattr(result, column)) is not None
    ]
    detail = None
    if result.code:
        detail = ResultDetail.objects.filter(monitor=monitor).order_by("-at").first()
    return Outcome(
        at=result.at,
        is_passed=result.code == 0,
        phases=phases,
        total_ms=sum(value for _name, value in phases),
        message=detail.message if detail is not None else "",
    )


def _would_tell(monitor: Monitor, now: datetime) -> WouldTell:
    down = Threshold.objects.filter(
        measure=Threshold.Measure.DOWN, is_enabled=True
    ).order_by("pk")
    applying = (
        Scopes(down)
        .for_monitor(
            monitor_id=monitor.pk, service_id=monitor.service_id, tags=monitor.tags
        )
        .get(Threshold.Measure.DOWN, ())
    )
    threshold = min(applying, key=lambda one: one.critical_priority, default=None)
    after_s = monitor.interval_s + (monitor.failures_to_down - 1) * (
        monitor.retry_interval_s
    )
    if threshold is None:
        return WouldTell(monitor.failures_to_down, after_s, None, [], 0)
    priority = Priority(threshold.critical_priority)
    policy = priorities.policy_for(service=monitor.service, priority=priority)
    names: list[str] = []
    if not policy.is_digest:
        world = world_of(policy=policy, at=now)
        page = decide(policy=policy, steps=[0], world=world)
        if page.resort != Resort.MATRIX:
            names = list(dict.fromkeys(each.name for each in page.deliveries))
    return WouldTell(
        failures=monitor.failures_to_down,
        after_s=after_s + threshold.for_s,
        priority=priority,
        names=names,
        repeat_s=policy.steps[0].repeat_s if policy.steps else 0,
    )
