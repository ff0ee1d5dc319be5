"""Who is on call now, who is next, and when nobody will be; for pages and the overview."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents.models import Schedule
from incidents.oncall import calendar, outlook, who
from incidents.oncall.board import Turn
from incidents.oncall.outlook import AHEAD, FlawKind
from incidents.oncall.plan import Plan
from incidents.oncall.turns import turn_of

_TROUBLES_SHOWN = 5
# Longer than a turn of anybody: who is on call until then is so for good.
_LOOKED_AHEAD = timedelta(days=120)


@dataclass(frozen=True, slots=True)
class Line:
    """One schedule, now."""

    schedule_id: int
    schedule: str
    current: Turn
    # Who comes after who is on call now.
    next: Turn | None
    # Whether it has anybody at all, and whether it should always have somebody.
    has_people: bool
    is_continuous: bool
    # Whether no end of it is in sight.
    is_for_good: bool

    @property
    def is_mistake(self) -> bool:
        """Whether nobody is on call although somebody should be."""
        return self.current.is_gap and self.is_continuous

    @property
    def until(self) -> datetime | None:
        """When that changes; None: not in sight."""
        return None if self.is_for_good else self.current.end


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with some time ahead, as a turn that somebody can take."""

    turn: Turn
    kind: FlawKind
    # Who is away without anybody instead; or the two who overlap, the one paged first.
    people: tuple[str, ...]

    @property
    def is_gap(self) -> bool:
        """Whether nobody would be on call."""
        return self.kind is not FlawKind.OVERLAP


@dataclass(frozen=True, slots=True)
class Duty:
    """All schedules, now."""

    lines: list[Line]
    # Of the next 14 days, the soonest first; of schedules that have people.
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def shown(self) -> list[Trouble]:
        """As many as a page has room for."""
        return self.troubles[:_TROUBLES_SHOWN]

    @property
    def more_count(self) -> int:
        """How many are not shown."""
        return max(len(self.troubles) - _TROUBLES_SHOWN, 0)

    @property
    def gap_count(self) -> int:
        """How often nobody would be on call."""
        return sum(one.is_gap for one in self.troubles)

    @property
    def status(self) -> str:
        """Which color and icon the first sentence has."""
        if not any(line.has_people for line in self.lines):
            return "unknown"
        if any(line.is_mistake for line in self.lines):
            return "down"
        return "degraded" if self.troubles else "up"

    @property
    def text(self) -> str:
        """The first answer: who is on call, or for what nobody is."""
        if not self.lines:
            return _("No schedule yet")
        if not any(line.has_people for line in self.lines):
            return _("Nobody is in a schedule yet")
        missing = [line.schedule for line in self.lines if line.is_mistake]
        if missing:
            return _("Nobody is on call for %(schedules)s") % {
                "schedules": _listed(missing)
            }
        return _present(self.lines)

    @property
    def hint(self) -> str:
        """What to do about it, or what more to know."""
        if not self.lines:
            return _("Who is on call, until when, and who is next appears here.")
        if not any(line.has_people for line in self.lines):
            return _("Add people to a rotation, so that alerts reach somebody.")
        if self.status == "down":
            return _(
                "Alerts go to the next step of their policy. Put somebody on call."
            )
        if self.gap_count:
            return ngettext(
                "In the next %(days)d days there is %(count)d gap.",
                "In the next %(days)d days there are %(count)d gaps.",
                self.gap_count,
            ) % {"days": AHEAD.days, "count": self.gap_count}
        if self.troubles:
            return _("Two people claim the same time; one of them is not paged.")
        return ""


def duty(*, now: datetime, me: int | None = None) -> Duty:
    """Return who is on call now for each schedule, in 6 queries. `me`: a contact."""
    ids = list(Schedule.objects.order_by("name").values_list("pk", flat=True))
    plans = who.plan_of(ids, since=now)
    ordered = [plans[pk] for pk in ids if pk in plans]
    lines = [_line(plan, now, me) for plan in ordered]
    troubles = [
        trouble
        for plan in ordered
        if has_people(plan)
        for trouble in _troubles(plan, now)
    ]
    return Duty(lines=lines, troubles=sorted(troubles, key=lambda one: one.turn.start))


def has_people(plan: Plan) -> bool:
    """Whether anything puts anybody on call."""
    return bool(plan.covers or plan.imported) or any(
        layer.contact_ids for layer in plan.layers
    )


def _line(plan: Plan, now: datetime, me: int | None) -> Line:
    current, following = calendar.now_and_next(plan, now)
    return Line(
        schedule_id=plan.schedule_id,
        schedule=plan.name,
        current=turn_of(plan=plan, shift=current, names=plan.names, me=me),
        next=None
        if following is None
        else turn_of(plan=plan, shift=following, names=plan.names, me=me),
        has_people=has_people(plan),
        is_continuous=plan.is_continuous,
        is_for_good=current.end >= now + _LOOKED_AHEAD,
    )


def _troubles(plan: Plan, now: datetime) -> list[Trouble]:
    return [
        Trouble(
            turn=Turn(
                schedule_id=plan.schedule_id,
                schedule=plan.name,
                start=found.start,
                end=found.end,
                contact_id=None,
                name="",
                why="",
            ),
            kind=found.kind,
            people=tuple(plan.names.get(pk, "?") for pk in found.contact_ids),
        )
        for found in outlook.flaws(plan, now)
    ]


def _present(lines: Sequence[Line]) -> str:
    here = [line.current for line in lines if not line.current.is_gap]
    names = list(dict.fromkeys(turn.name for turn in here if not turn.is_mine))
    if any(turn.is_mine for turn in here):
        if not names:
            return _("You are on call")
        return _("You are on call, with %(names)s") % {"names": _listed(names)}
    if not names:
        return _("Nobody needs to be on call now")
    return ngettext("%(names)s is on call", "%(names)s are on call", len(names)) % {
        "names": _listed(names)
    }


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return _("%(some)s and %(last)s") % {
        "some": ", ".join(names[:-1]),
        "last": names[-1],
    }
