"""The one door to "who is on call?": for engine, pages, API, feeds and simulator.

It reads rows into plans, asks `calendar`, and takes what is settled from the history:
an edit of today changes nobody's yesterday.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import F

from incidents.models import (
    Absence,
    ImportedShift,
    OnCallRecord,
    Override,
    Rotation,
    Schedule,
)
from incidents.oncall import calendar
from incidents.oncall.plan import (
    Away,
    Cover,
    Imported,
    Layer,
    Plan,
    Shift,
    Unit,
    Why,
    WhyKind,
)

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_UNRECORDED = Why(WhyKind.UNRECORDED)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A plan, and who is on call by it and by the history for a time, without a hole."""

    plan: Plan
    shifts: tuple[Shift, ...]


def plan_of(
    schedule_ids: Collection[int], *, since: datetime | None = None
) -> dict[int, Plan]:
    """Return the plans of schedules that exist, in 5 queries however many.

    `since` leaves out overrides, absences and imported shifts that ended before it. A
    disabled contact counts as away.
    """
    return {pk: loaded.plan for pk, loaded in _load(schedule_ids, since).items()}


def on_call(*, schedule_id: int, at: datetime) -> Shift:
    """Return who is on call at an instant, of the past too; `contact_id` None: nobody.

    Raises Schedule.DoesNotExist.
    """
    found = on_call_of(schedule_ids=[schedule_id], at=at)
    if schedule_id not in found:
        raise Schedule.DoesNotExist(f"no schedule {schedule_id}")
    return found[schedule_id]


def on_call_of(*, schedule_ids: Collection[int], at: datetime) -> dict[int, Shift]:
    """Return who is on call for each of some schedules at an instant, in ≤ 6 queries.

    A schedule that doesn't exist is left out.
    """
    loaded = _load(schedule_ids, at)
    past = {pk for pk, one in loaded.items() if at < one.settled}
    records = _records(past, at, at) if past else {}
    return {
        pk: _settled_at(one, records.get(pk, ()), at)
        if pk in past
        else calendar.on_call_at(one.plan, at)
        for pk, one in loaded.items()
    }


def shifts_of(
    *, schedule_ids: Collection[int], start: datetime, end: datetime
) -> dict[int, tuple[Shift, ...]]:
    """Return who is on call from `start` until before `end`, in ≤ 6 queries.

    Without a hole: time with nobody is a shift of nobody.
    """
    found = stretches_of(schedule_ids=schedule_ids, start=start, end=end)
    return {pk: stretch.shifts for pk, stretch in found.items()}


def stretches_of(
    *, schedule_ids: Collection[int], start: datetime, end: datetime
) -> dict[int, Stretch]:
    """Return `shifts_of`, and `plan_of` since the start, read once; in ≤ 6 queries."""
    loaded = _load(schedule_ids, start)
    past = {pk for pk, one in loaded.items() if start < one.settled}
    records = _records(past, start, end) if past else {}
    return {
        pk: Stretch(one.plan, _whole(one, records.get(pk, ()), start, end))
        for pk, one in loaded.items()
    }


def next_shift(*, schedule_id: int, at: datetime) -> Shift | None:
    """Return the next shift of somebody else than who is on call at `at`.

    As planned now. None when nobody else comes. Raises Schedule.DoesNotExist.
    """
    plans = plan_of([schedule_id], since=at)
    if schedule_id not in plans:
        raise Schedule.DoesNotExist(f"no schedule {schedule_id}")
    return calendar.next_shift(plans[schedule_id], at)


def names_of(*, shifts: Iterable[Shift], plans: Iterable[Plan]) -> dict[int, str]:
    """Return the names of everybody who occurs, by contact; 1 query.

    Somebody who was deleted has the name that the history kept.
    """
    wanted = {
        pk
        for shift in shifts
        for pk in (shift.contact_id, shift.why.instead_of)
        if pk is not None
    }
    names = {pk: name for plan in plans for pk, name in plan.names.items()}
    missing = wanted - names.keys()
    if missing:
        kept = (
            OnCallRecord.objects.filter(contact_number__in=missing)
            .order_by("contact_number", "-starts_at")
            .distinct("contact_number")
            .values_list("contact_number", "contact_name")
        )
        names |= {pk: name for pk, name in kept if pk is not None}
    return {pk: names[pk] for pk in wanted if pk in names}


# --- The past -------------------------------------------------------------------------


def _records(
    schedule_ids: Collection[int], start: datetime, end: datetime
) -> dict[int, list[Shift]]:
    rows = OnCallRecord.objects.filter(
        schedule_number__in=schedule_ids, ends_at__gt=start, starts_at__lte=end
    ).order_by("starts_at")
    found: dict[int, list[Shift]] = defaultdict(list)
    for row in rows:
        why = Why(WhyKind(row.why), row.label, row.source_number, row.instead_of_number)
        shift = Shift(row.starts_at, row.ends_at, row.contact_number, why)
        found[row.schedule_number].append(shift)
    return found


def _settled_at(loaded: _Loaded, records: Iterable[Shift], at: datetime) -> Shift:
    for shift in records:
        if shift.start <= at < shift.end:
            break
    else:
        return Shift(at, at + calendar.INSTANT, None, _UNRECORDED)
    if shift.end == loaded.settled:
        # It is still going on.
        planned = calendar.on_call_at(loaded.plan, shift.end)
        if (planned.contact_id, planned.why) == (shift.contact_id, shift.why):
            return replace(shift, end=planned.end)
    return shift


def _whole(
    loaded: _Loaded, records: Iterable[Shift], start: datetime, end: datetime
) -> tuple[Shift, ...]:
    """Return the records, what nobody wrote down before them, and the plan after."""
    found: list[Shift] = []
    border, at = min(loaded.settled, end), start
    for record in records:
        low, high = max(record.start, at), min(record.end, border)
        if low >= high:
            continue
        if at < low:
            found.append(Shift(at, low, None, _UNRECORDED))
        found.append(replace(record, start=low, end=high))
        at = high
    if at < border:
        found.append(Shift(at, border, None, _UNRECORDED))
    planned = calendar.shifts(loaded.plan, max(start, border), end)
    if found and planned and _is_one(found[-1], planned[0]):
        # A shift that is going on: half of it is history.
        last = found.pop()
        return (*found, replace(last, end=planned[0].end), *planned[1:])
    return (*found, *planned)


def _is_one(one: Shift, other: Shift) -> bool:
    return (one.end, one.contact_id, one.why) == (
        other.start,
        other.contact_id,
        other.why,
    )


# --- Rows to plain values -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A plan, and until when the history decides instead of it."""

    plan: Plan
    settled: datetime


def _load(schedule_ids: Collection[int], since: datetime | None) -> dict[int, _Loaded]:
    rows = Schedule.objects.filter(pk__in=set(schedule_ids)).values_list(
        "pk", "name", "time_zone", "is_continuous", "state__recorded_until"
    )
    found = list(rows)
    ids = [row[0] for row in found]
    if not ids:
        return {}
    people = _People()
    layers = _layers(ids, people)
    covers = _covers(ids, since, people)
    imported = _imported(ids, since, people)
    aways = people.aways(since)
    return {
        pk: _Loaded(
            plan=Plan(
                schedule_id=pk,
                name=name,
                zone=ZoneInfo(zone),
                layers=tuple(layers[pk]),
                covers=tuple(covers[pk]),
                imported=tuple(imported[pk]),
                aways=tuple(one for one in aways if one.contact_id in people.of[pk]),
                is_continuous=is_continuous,
                names={one: people.names[one] for one in sorted(people.of[pk])},
            ),
            settled=settled or _EVER[0],
        )
        for pk, name, zone, is_continuous, settled in found
    }


class _People:
    """Everybody who occurs in the plans: names, and when they can't be on call."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.of: dict[int, set[int]] = defaultdict(set)
        self._disabled: set[int] = set()

    def add(self, schedule_id: int, row: Mapping[str, Any]) -> int:
        """Note the contact of a row read with `_CONTACT`; return its number."""
        pk: int = row["contact"]
        self.names[pk] = row["contact__name"]
        self.of[schedule_id].add(pk)
        if not row["contact__is_enabled"]:
            self._disabled.add(pk)
        return pk

    def aways(self, since: datetime | None) -> list[Away]:
        """Return the absences of all of them."""
        rows = Absence.objects.filter(contact__in=self.names)
        if since is not None:
            rows = rows.filter(ends_at__gt=since)
        found = [
            Away(*row) for row in rows.values_list("contact", "starts_at", "ends_at")
        ]
        return found + [Away(pk, *_EVER) for pk in sorted(self._disabled)]


_CONTACT = ("contact", "contact__name", "contact__is_enabled")


def _layers(ids: Collection[int], people: _People) -> dict[int, list[Layer]]:
    # One row a seat, and one for a rotation without any.
    rows = Rotation.objects.filter(schedule__in=ids).annotate(
        contact=F("participants__contact"),
        contact__name=F("participants__contact__name"),
        contact__is_enabled=F("participants__contact__is_enabled"),
    )
    order = ("-position", "pk", "participants__position", "participants__pk")
    layers: dict[int, list[Layer]] = defaultdict(list)
    for _pk, group in groupby(rows.order_by(*order), key=attrgetter("pk")):
        seats = list(group)
        rotation = seats[0]
        contact_ids = [
            people.add(rotation.schedule_id, vars(seat))
            for seat in seats
            if vars(seat)["contact"] is not None
        ]
        layers[rotation.schedule_id].append(layer_of(rotation, contact_ids))
    return layers


def layer_of(rotation: Rotation, contact_ids: Iterable[int]) -> Layer:
    """Return the plain values of a rotation, saved or only typed."""
    return Layer(
        id=rotation.pk or 0,
        name=rotation.name,
        unit=Unit(rotation.unit),
        length=rotation.length,
        handoff=rotation.handoff_time,
        starts_on=rotation.starts_on,
        ends_on=rotation.ends_on,
        contact_ids=tuple(contact_ids),
        weekdays=frozenset(map(_WEEKDAYS.index, rotation.only_weekdays)),
        only_from=rotation.only_from,
        only_until=rotation.only_until,
    )


def _covers(
    ids: Collection[int], since: datetime | None, people: _People
) -> dict[int, list[Cover]]:
    rows = Override.objects.filter(schedule__in=ids)
    if since is not None:
        rows = rows.filter(ends_at__gt=since)
    covers: dict[int, list[Cover]] = defaultdict(list)
    names = ("replaces", "replaces__name")
    for row in rows.order_by("-pk").values(
        "pk", "schedule", "starts_at", "ends_at", "kind", "reason", *names, *_CONTACT
    ):
        if row["replaces"] is not None:
            people.names.setdefault(row["replaces"], row["replaces__name"])
            people.of[row["schedule"]].add(row["replaces"])
        covers[row["schedule"]].append(
            Cover(
                id=row["pk"],
                contact_id=people.add(row["schedule"], row),
                start=row["starts_at"],
                end=row["ends_at"],
                kind=WhyKind(row["kind"]),
                reason=row["reason"],
                instead_of=row["replaces"],
            )
        )
    return covers


def _imported(
    ids: Collection[int], since: datetime | None, people: _People
) -> dict[int, list[Imported]]:
    # An address that was taken out takes its shifts with it.
    rows = ImportedShift.objects.filter(schedule__in=ids).exclude(schedule__ical_url="")
    if since is not None:
        rows = rows.filter(ends_at__gt=since)
    found: dict[int, list[Imported]] = defaultdict(list)
    for row in rows.order_by("starts_at", "pk").values(
        "pk", "schedule", "starts_at", "ends_at", "summary", *_CONTACT
    ):
        found[row["schedule"]].append(
            Imported(
                id=row["pk"],
                contact_id=people.add(row["schedule"], row),
                start=row["starts_at"],
                end=row["ends_at"],
                summary=row["summary"],
            )
        )
    return found
