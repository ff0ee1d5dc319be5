"""What is wrong with the next two weeks of a calendar, and what an edit would leave open.

Pure: plans in, stretches of time out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, combinations, islice

from incidents.oncall import calendar
from incidents.oncall.plan import Cover, Imported, Plan, WhyKind

AHEAD = timedelta(days=14)
# A calendar that was imported twice has more than anybody reads.
_MOST_OVERLAPS = 100


class FlawKind(StrEnum):
    """What can be wrong."""

    GAP = "gap"
    # There would be somebody, if nobody were absent.
    ABSENT = "absent"
    # Two people are both said to be on call, and one of them isn't.
    OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a stretch of time of a schedule.

    `contact_ids`: who is absent, or the two who overlap, the one on call first.
    """

    schedule_id: int
    kind: FlawKind
    start: datetime
    end: datetime
    contact_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Gap:
    """Time in which a schedule would have nobody."""

    schedule_id: int
    schedule_name: str
    start: datetime
    end: datetime


def flaws(plan: Plan, start: datetime, *, ahead: timedelta = AHEAD) -> tuple[Flaw, ...]:
    """Return what is wrong from `start` on, the soonest first.

    A gap is wrong only where the schedule is round the clock; an absence without
    anybody instead, and an overlap, always.
    """
    end = start + ahead
    found = [
        *_nobody(plan, start, end),
        *islice(_overlaps(plan, start, end), _MOST_OVERLAPS),
    ]
    return tuple(sorted(found, key=lambda one: (one.start, one.kind)))


def newly_open(
    before: Mapping[int, Plan],
    after: Mapping[int, Plan],
    start: datetime,
    end: datetime,
) -> tuple[Gap, ...]:
    """Return when somebody is on call by the plans `before`, and nobody `after`."""
    return tuple(
        Gap(pk, plan.name, *span)
        for pk, plan in before.items()
        for span in _lost(plan, after.get(pk), start, end)
    )


def _nobody(plan: Plan, start: datetime, end: datetime) -> Iterator[Flaw]:
    complete = replace(plan, aways=())
    for gap in calendar.joined(calendar.shifts(plan, start, end)):
        if gap.contact_id is not None:
            continue
        for part in calendar.joined(calendar.shifts(complete, gap.start, gap.end)):
            if part.contact_id is not None:
                absent = (part.contact_id,)
                yield Flaw(
                    plan.schedule_id, FlawKind.ABSENT, part.start, part.end, absent
                )
            elif plan.is_continuous:
                yield Flaw(plan.schedule_id, FlawKind.GAP, part.start, part.end)


def _overlaps(plan: Plan, start: datetime, end: datetime) -> Iterator[Flaw]:
    # The latest override wins, and of two imported shifts the one that began first.
    imported = sorted(plan.imported, key=lambda one: (one.start, one.id))
    covers = combinations([one for one in plan.covers if _touches(one, start, end)], 2)
    pairs: Iterator[tuple[Cover | Imported, Cover | Imported]] = chain(
        ((one, other) for one, other in covers if not _is_meant(one, other)),
        _meeting([one for one in imported if _touches(one, start, end)]),
    )
    for winner, loser in pairs:
        low = max(winner.start, loser.start, start)
        high = min(winner.end, loser.end, end)
        if low < high and winner.contact_id != loser.contact_id:
            people = (winner.contact_id, loser.contact_id)
            yield Flaw(plan.schedule_id, FlawKind.OVERLAP, low, high, people)


def _touches(claim: Cover | Imported, start: datetime, end: datetime) -> bool:
    return claim.start < end and claim.end > start


def _is_meant(winner: Cover, loser: Cover) -> bool:
    """Whether the one was made to take the time from the other."""
    takes = {WhyKind.TAKEN, WhyKind.SWAP}
    return winner.kind in takes or winner.instead_of == loser.contact_id


def _meeting(claims: Sequence[Imported]) -> Iterator[tuple[Imported, Imported]]:
    """Yield those that overlap; sorted, so that thousands in a row are no matter."""
    for at, winner in enumerate(claims):
        for later in range(at + 1, len(claims)):
            if claims[later].start >= winner.end:
                break
            yield winner, claims[later]


def _lost(
    before: Plan, after: Plan | None, start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the stretches, joined, that lose their owner."""
    empty = replace(before, layers=(), covers=(), imported=())
    held: tuple[datetime, datetime] | None = None
    for gap in calendar.joined(calendar.shifts(after or empty, start, end)):
        if gap.contact_id is not None:
            continue
        for part in calendar.shifts(before, gap.start, gap.end):
            if part.contact_id is None:
                continue
            if held is not None and held[1] == part.start:
                held = (held[0], part.end)
                continue
            if held is not None:
                yield held
            held = (part.start, part.end)
    if held is not None:
        yield held
