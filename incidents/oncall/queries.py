"""What pages and the API ask about calendars beyond who is on call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from incidents.models import Override
from incidents.oncall import outlook, who
from incidents.oncall.acting import schedules_with
from incidents.oncall.outlook import Flaw, Gap
from incidents.oncall.plan import Away, Plan


def flaws_of(
    *, schedule_ids: Collection[int], now: datetime
) -> dict[int, tuple[Flaw, ...]]:
    """Return what is wrong with the next two weeks of schedules, in 5 queries."""
    plans = who.plan_of(schedule_ids, since=now)
    return {pk: outlook.flaws(plan, now) for pk, plan in plans.items()}


def gaps_if_absent(
    *, contact_id: int, starts_at: datetime, ends_at: datetime, now: datetime
) -> tuple[Gap, ...]:
    """Return when nobody would be on call, were a person absent."""
    before = who.plan_of(schedules_with(contact_id), since=now)
    away = Away(contact_id, starts_at, ends_at)
    after = {pk: replace(one, aways=(*one.aways, away)) for pk, one in before.items()}
    return outlook.newly_open(before, after, max(starts_at, now), ends_at)


def gaps_if_cancelled(*, override_id: int, now: datetime) -> tuple[Gap, ...]:
    """Return when nobody would be on call without an override.

    Raises Override.DoesNotExist.
    """
    row = Override.objects.get(pk=override_id)
    before = who.plan_of([row.schedule_id], since=now)
    after: Mapping[int, Plan] = {
        pk: replace(one, covers=tuple(c for c in one.covers if c.id != row.pk))
        for pk, one in before.items()
    }
    return outlook.newly_open(before, after, max(row.starts_at, now), row.ends_at)
