"""The plain values of an on-call calendar: what it is made of, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Unit(StrEnum):
    """What the length of a turn counts. All follow the wall clock."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


_LENGTHS = {
    Unit.HOUR: timedelta(hours=1),
    Unit.DAY: timedelta(days=1),
    Unit.WEEK: timedelta(weeks=1),
}


class WhyKind(StrEnum):
    """What makes somebody, or nobody, be on call."""

    LAYER = "layer"
    # Somebody else of the same rotation, because the one whose turn it is is absent.
    ABSENCE = "absence"
    OVERRIDE = "override"
    TAKEN = "taken"
    SWAP = "swap"
    IMPORTED = "imported"
    GAP = "gap"
    # Before the portal kept this schedule's history.
    UNRECORDED = "unrecorded"


@dataclass(frozen=True, slots=True)
class Why:
    """The reason of a shift. `label` names the rotation, or gives an override's reason.

    `source_id` is the rotation's, the override's or the imported shift's; `instead_of`
    the contact who would have been on call.
    """

    kind: WhyKind
    label: str = ""
    source_id: int | None = None
    instead_of: int | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """Who is on call from `start` until before `end`; `contact_id` None: nobody."""

    start: datetime
    end: datetime
    contact_id: int | None
    why: Why


@dataclass(frozen=True, slots=True)
class Layer:
    """A rotation. Turn n begins n lengths after `starts_on` at `handoff`, on the wall clock.

    The contacts take turns in their order. `weekdays` (Monday 0; empty: all) and
    `only_from`/`only_until` restrict it; a window over midnight belongs to the weekday
    on which it begins.
    """

    id: int
    name: str
    unit: Unit
    length: int
    handoff: time
    starts_on: date
    contact_ids: tuple[int, ...]
    # The layer ends at the handoff of this day.
    ends_on: date | None = None
    weekdays: frozenset[int] = frozenset()
    only_from: time | None = None
    only_until: time | None = None

    @property
    def turn_length(self) -> timedelta:
        """How long a turn is on the wall clock."""
        return _LENGTHS[self.unit] * self.length

    @property
    def is_restricted(self) -> bool:
        """Whether there are hours that it leaves to others."""
        return bool(self.weekdays) or self.only_from != self.only_until


@dataclass(frozen=True, slots=True)
class Cover:
    """An override, a shift somebody took, or a swap; the latest made wins."""

    id: int
    contact_id: int
    start: datetime
    end: datetime
    kind: WhyKind = WhyKind.OVERRIDE
    reason: str = ""
    instead_of: int | None = None


@dataclass(frozen=True, slots=True)
class Away:
    """Time in which a contact can't be on call, whatever else says so."""

    contact_id: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Imported:
    """A shift of another calendar."""

    id: int
    contact_id: int
    start: datetime
    end: datetime
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides who is on call for one schedule.

    Precedence: covers, the latest made first; the imported calendar; the layers, in the
    order given. Nobody is on call while away.
    """

    schedule_id: int
    name: str
    zone: ZoneInfo
    layers: tuple[Layer, ...] = ()
    covers: tuple[Cover, ...] = ()
    aways: tuple[Away, ...] = ()
    imported: tuple[Imported, ...] = ()
    # Whether time without anybody is a mistake.
    is_continuous: bool = True
    # By contact; everybody who occurs in it.
    names: Mapping[int, str] = field(default_factory=dict)
