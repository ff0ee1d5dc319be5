"""Drills that run by themselves: which are due, and one drill for each due time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from monitors.drills import running
from monitors.models import Drill, DrillPlan, DrillPlanState, Monitor
from notifications.validation import validate_time_zone
from t4g_portal.lib.faults import Fault

logger = logging.getLogger(__name__)

# A drill that nobody could start this long ago is left out: half an hour late it would
# be another rehearsal than the one that people expect.
GRACE = timedelta(minutes=10)
MIN_S, MAX_S = (
    int(length.total_seconds()) for length in (running.MIN_LENGTH, running.MAX_LENGTH)
)


def next_times(
    *, schedule: str, time_zone: str, after: datetime, count: int
) -> list[datetime]:
    """Return the next times of a schedule; raises ValueError for a malformed one.

    Wall times of the zone; one that doesn't exist on a day of 23 hours comes at the
    first instant after it, one that exists twice comes once.
    """
    try:
        times = CronSim(schedule, after.astimezone(ZoneInfo(time_zone)))
        return [moment for _place, moment in zip(range(count), times, strict=False)]
    except CronSimError as error:
        raise ValueError(str(error)) from error


def plan_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check what can be followed; what is missing is not checked."""
    try:
        if "schedule" in values:
            next_times(
                schedule=values["schedule"],
                time_zone="UTC",
                after=datetime(2026, 1, 1, tzinfo=UTC),
                count=1,
            )
    except ValueError:
        yield Fault(
            "schedule",
            _(
                "Enter five fields: minute, hour, day, month, weekday. "
                "“0 10 * * mon” is every Monday at 10:00."
            ),
        )
    found = validate_time_zone(time_zone=values.get("time_zone", ""))
    for field, message in found.items():
        yield Fault(field, message)
    length_s = values.get("give_up_after_s")
    if length_s is not None and not MIN_S <= length_s <= MAX_S:
        yield Fault("give_up_after_s", _("Give 60 to 14,400 seconds (4 hours)."))


def start_due(*, now: datetime) -> int:
    """Start the drills whose time has come; return how many.

    Two beats double nothing: a plan has one drill for each of its times. What was due
    before a plan was enabled, or had this schedule, is not.
    """
    count = 0
    DrillPlanState.objects.filter(plan__is_enabled=False).delete()
    plans = DrillPlan.objects.filter(is_enabled=True, monitor__is_enabled=True)
    for plan in plans.select_related("policy", "state").order_by("pk"):
        try:
            count += _start_if_due(plan, _followed_since(plan, now), now)
        except running.UnableToStart as error:
            logger.warning("drill plan %s did not start: %s", plan.pk, error)
        except Exception:
            logger.exception("drill plan %s can't be started", plan.pk)
    return count


def _followed_since(plan: DrillPlan, now: datetime) -> datetime:
    """Return since when a plan is as it is, which begins when it is first seen so."""
    followed = f"{plan.schedule} {plan.time_zone}"
    state = getattr(plan, "state", None)
    if state is None or state.followed != followed:
        state, _is_new = DrillPlanState.objects.update_or_create(
            plan=plan, defaults={"followed": followed, "since": now}
        )
    since: datetime = state.since
    return since


def _start_if_due(plan: DrillPlan, since: datetime, now: datetime) -> bool:
    earliest = max(now - GRACE, since)
    due_at = next(
        (
            moment
            for moment in next_times(
                schedule=plan.schedule,
                time_zone=plan.time_zone,
                after=earliest,
                count=1,
            )
            if moment <= now
        ),
        None,
    )
    if due_at is None or Drill.objects.filter(plan=plan, due_at=due_at).exists():
        return False
    try:
        with transaction.atomic():
            running.start(
                monitor=Monitor.objects.select_related("service")
                .defer("secret")
                .get(pk=plan.monitor_id),
                priority=plan.priority,
                policy=plan.policy,
                plan=plan,
                due_at=due_at,
                length=timedelta(seconds=plan.give_up_after_s),
                now=now,
            )
    except IntegrityError:
        # Another beat was faster.
        return False
    return True
