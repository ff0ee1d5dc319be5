"""Random on-call plans, and a second, slow answer to "who is on call?" to compare with.

The oracle knows nothing of spans: it walks over the turns one by one on the wall clock,
and asks of one instant at a time.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from incidents.oncall.plan import (
    Away,
    Cover,
    Imported,
    Layer,
    Plan,
    Unit,
    WhyKind,
)

PARIS = ZoneInfo("Europe/Paris")
ZONES = [PARIS, ZoneInfo("UTC"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")]
# A Saturday before each change of the Paris clock.
BEFORE_CHANGES = [date(2026, 3, 28), date(2026, 10, 24)]
PEOPLE = [1, 2, 3, 4]

# Times around the changed hour more often than others.
times = st.sampled_from(
    [
        *(time(hour, minute) for hour in (1, 2, 3) for minute in (0, 15, 30, 45)),
        time(0, 0),
        time(9, 0),
        time(18, 0),
        time(23, 59),
    ]
)


def instants(around: date) -> st.SearchStrategy[datetime]:
    """Minutes within a few days of a date."""
    origin = datetime.combine(around, time.min, UTC) - timedelta(days=3)
    return st.integers(0, 8 * 24 * 60).map(lambda n: origin + timedelta(minutes=n))


def spans(around: date) -> st.SearchStrategy[tuple[datetime, datetime]]:
    """Two instants in order."""
    pairs = st.tuples(instants(around), instants(around))
    return pairs.filter(lambda pair: pair[0] != pair[1]).map(
        lambda pair: (min(pair), max(pair))
    )


@st.composite
def layers(draw: st.DrawFn, around: date, number: int) -> Layer:
    unit = draw(st.sampled_from(list(Unit)))
    starts_on = around + timedelta(days=draw(st.integers(-20, 3)))
    ends_on = None
    if draw(st.integers(0, 4)) == 0:
        ends_on = starts_on + timedelta(days=draw(st.integers(1, 30)))
    only_from, only_until = None, None
    if draw(st.booleans()):
        only_from, only_until = draw(times), draw(times)
    return Layer(
        id=number,
        name=f"Layer {number}",
        unit=unit,
        length=draw(st.integers(1, 36 if unit is Unit.HOUR else 3)),
        handoff=draw(times),
        starts_on=starts_on,
        ends_on=ends_on,
        contact_ids=tuple(draw(st.lists(st.sampled_from(PEOPLE), max_size=5))),
        weekdays=frozenset(draw(st.sets(st.integers(0, 6), max_size=6))),
        only_from=only_from,
        only_until=only_until,
    )


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, tuple[datetime, datetime]]:
    """A plan, and a stretch of time around a change of the clock to look at."""
    around = draw(st.sampled_from(BEFORE_CHANGES))
    covers = [
        Cover(number, draw(st.sampled_from(PEOPLE)), *span)
        for number, span in enumerate(draw(st.lists(spans(around), max_size=4)))
    ]
    imported = [
        Imported(number, draw(st.sampled_from(PEOPLE)), *span)
        for number, span in enumerate(draw(st.lists(spans(around), max_size=3)))
    ]
    aways = [
        Away(draw(st.sampled_from(PEOPLE)), *span)
        for span in draw(st.lists(spans(around), max_size=8))
    ]
    plan = Plan(
        schedule_id=1,
        name="On call",
        zone=draw(st.sampled_from(ZONES)),
        layers=tuple(
            draw(layers(around, number)) for number in range(draw(st.integers(0, 3)))
        ),
        covers=tuple(reversed(covers)),
        imported=tuple(imported),
        aways=tuple(aways),
    )
    return plan, draw(spans(around))


def oracle(plan: Plan, at: datetime) -> tuple[int | None, WhyKind]:
    """Say who is on call at one instant, and why, the slow way."""
    away = {one.contact_id for one in plan.aways if one.start <= at < one.end}
    for cover in plan.covers:
        if cover.start <= at < cover.end and cover.contact_id not in away:
            return cover.contact_id, cover.kind
    for one in sorted(plan.imported, key=lambda one: (one.start, one.id)):
        if one.start <= at < one.end and one.contact_id not in away:
            return one.contact_id, WhyKind.IMPORTED
    for layer in plan.layers:
        order = _order_at(plan, layer, at)
        for contact_id in order:
            if contact_id not in away:
                is_owner = contact_id == order[0]
                return contact_id, WhyKind.LAYER if is_owner else WhyKind.ABSENCE
    return None, WhyKind.GAP


@lru_cache(maxsize=100_000)
def first(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first minute at which the clock shows `wall` or, if skipped, more."""
    return min(_exactly(wall, zone) or [_skip(wall, zone)])


@lru_cache(maxsize=100_000)
def last(wall: datetime, zone: ZoneInfo) -> datetime:
    """The last minute at which the clock shows `wall`; the skip when it never does."""
    return max(_exactly(wall, zone) or [_skip(wall, zone)])


def _exactly(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Try what the clock's difference to UTC is a day before and a day after."""
    near = wall.replace(tzinfo=UTC)
    offsets = [
        (near + timedelta(days=days)).astimezone(zone).utcoffset() for days in (-2, 2)
    ]
    tries = [near - (offset or timedelta()) for offset in offsets]
    return [one for one in tries if _shown(one, zone) == wall]


def _skip(wall: datetime, zone: ZoneInfo) -> datetime:
    minute = wall.replace(tzinfo=UTC) - timedelta(hours=16)
    while _shown(minute, zone) < wall:
        minute += timedelta(minutes=1)
    return minute


def _shown(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _order_at(plan: Plan, layer: Layer, at: datetime) -> tuple[int, ...]:
    """Return whose turn it is, then who would stand in; nobody outside its hours."""
    if not layer.contact_ids or not _is_in_hours(plan, layer, at):
        return ()
    closing = datetime.combine(layer.ends_on or date.max, layer.handoff)
    if layer.ends_on and at >= last(closing, plan.zone):
        return ()
    number, begins = -1, datetime.combine(layer.starts_on, layer.handoff)
    while first(begins, plan.zone) <= at:
        number, begins = number + 1, begins + layer.turn_length
    if number < 0:
        return ()
    seat = number % len(layer.contact_ids)
    return layer.contact_ids[seat:] + layer.contact_ids[:seat]


def _is_in_hours(plan: Plan, layer: Layer, at: datetime) -> bool:
    if not layer.weekdays and layer.only_from == layer.only_until:
        return True
    opens, until = layer.only_from or time.min, layer.only_until or time.min
    today = _shown(at, plan.zone).date()
    for day in (today - timedelta(days=1), today):
        if layer.weekdays and day.weekday() not in layer.weekdays:
            continue
        close = day if until > opens else day + timedelta(days=1)
        low = first(datetime.combine(day, opens), plan.zone)
        if low <= at < last(datetime.combine(close, until), plan.zone):
            return True
    return False
