"""Keeps the history of who was on call, which no later edit changes."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from incidents.models import OnCallRecord, Schedule, ScheduleState
from incidents.oncall import calendar, who
from incidents.oncall.plan import Plan, Shift

logger = logging.getLogger(__name__)


def record_all(*, now: datetime) -> int:
    """Settle the past of every schedule; return how many there are."""
    ids = list(Schedule.objects.order_by("pk").values_list("pk", flat=True))
    for schedule_id in ids:
        try:
            record(schedule_ids=[schedule_id], now=now)
        except Exception:
            # It stays unsettled, and the next tick catches up.
            logger.exception("history of schedule %s failed", schedule_id)
    return len(ids)


def record(*, schedule_ids: Collection[int], now: datetime) -> None:
    """Settle who was on call until `now`, as planned up to this moment.

    Whoever changes a plan calls it before, in the same transaction: what has passed
    stays as it was. The history of a schedule begins with the first call.
    """
    with transaction.atomic():
        ScheduleState.objects.bulk_create(
            [
                ScheduleState(schedule_id=pk, recorded_until=now)
                for pk in _known(schedule_ids)
            ],
            ignore_conflicts=True,
        )
        states = list(
            ScheduleState.objects.select_for_update()
            .filter(schedule__in=schedule_ids, recorded_until__lt=now)
            .order_by("pk")
        )
        if not states:
            return
        since = min(state.recorded_until for state in states if state.recorded_until)
        plans = who.plan_of([state.pk for state in states], since=since)
        for state in states:
            if state.pk in plans and state.recorded_until is not None:
                _append(plans[state.pk], state.recorded_until, now)
            state.recorded_until = now
            state.save(update_fields=["recorded_until"])


def _known(schedule_ids: Collection[int]) -> list[int]:
    """Return the schedules without a state yet."""
    rows = Schedule.objects.filter(pk__in=set(schedule_ids), state__isnull=True)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def _append(plan: Plan, start: datetime, end: datetime) -> None:
    rows = [_row(plan, shift) for shift in calendar.shifts(plan, start, end)]
    before = (
        OnCallRecord.objects.filter(schedule_number=plan.schedule_id)
        .order_by("-starts_at")
        .first()
    )
    if before is not None and rows and _goes_on(before, rows[0]):
        OnCallRecord.objects.filter(pk=before.pk).update(ends_at=rows[0].ends_at)
        rows = rows[1:]
    OnCallRecord.objects.bulk_create(rows)


def _goes_on(before: OnCallRecord, after: OnCallRecord) -> bool:
    same = ("contact_number", "why", "label", "source_number", "instead_of_number")
    return before.ends_at == after.starts_at and all(
        getattr(before, name) == getattr(after, name) for name in same
    )


def _row(plan: Plan, shift: Shift) -> OnCallRecord:
    return OnCallRecord(
        schedule_number=plan.schedule_id,
        schedule_name=plan.name,
        contact_number=shift.contact_id,
        contact_name=plan.names.get(shift.contact_id or 0, ""),
        starts_at=shift.start,
        ends_at=shift.end,
        why=shift.why.kind,
        label=shift.why.label[:200],
        source_number=shift.why.source_id,
        instead_of_number=shift.why.instead_of,
        instead_of_name=plan.names.get(shift.why.instead_of or 0, ""),
    )
