"""A simulation for reading: who is told when, by what, and for what reason, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from incidents import timeline
from incidents.escalation.expanding import Delivery, Page, Resort, Target, Why
from incidents.escalation.simulating import Moment
from incidents.simulator import Simulation
from notifications.models.contact import method_kinds
from t4g_portal.lib.wording import duration


@dataclass(frozen=True, slots=True)
class Told:
    """One destination at one moment: its ways in words, and the reason."""

    name: str
    ways: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Line:
    """One moment, and how often the same comes again.

    `after`: since the opening. `clock`, `last_clock`: what clocks show then, with the
    zone where they change meanwhile. `repeats`: how many times more, `every` apart.
    `follows_deadline`: the response deadline passes right before.
    """

    at: datetime
    clock: str
    after: timedelta
    steps: tuple[int, ...]
    told: tuple[Told, ...]
    troubles: tuple[str, ...]
    has_mention: bool
    is_for_nobody: bool
    repeats: int = 0
    every: timedelta | None = None
    last_clock: str = ""
    follows_deadline: bool = False


def lines(simulation: Simulation, *, zone: ZoneInfo) -> list[Line]:
    """Return the moments; those that only repeat an earlier one are counted there."""
    says = clock_of(simulation, zone=zone)
    found: list[Line] = []
    for moment in simulation.moments:
        line = _line(moment, simulation.at, says)
        before = next((one for one in found if _is_same(one, line)), None)
        if before is None:
            found.append(line)
        else:
            found[found.index(before)] = _again(before, line)
    late = [line for line in found if line.at > simulation.response_due_at]
    if late:
        found[found.index(late[0])] = replace(late[0], follows_deadline=True)
    return found


def clock_of(simulation: Simulation, *, zone: ZoneInfo) -> Callable[[datetime], str]:
    """Return how to say what clocks show, so that no two moments read the same."""
    offsets = {at.astimezone(zone).utcoffset() for at in _ends(simulation)}

    def said(at: datetime) -> str:
        local = at.astimezone(zone)
        clock = f"{local:%H:%M:%S}"
        return f"{clock} {local.tzname()}" if len(offsets) > 1 else clock

    return said


def _ends(simulation: Simulation) -> tuple[datetime, datetime]:
    return simulation.at, max(simulation.until, simulation.response_due_at)


def _line(moment: Moment, opened_at: datetime, says: Callable[[datetime], str]) -> Line:
    page = moment.page
    return Line(
        at=moment.at,
        clock=says(moment.at),
        after=moment.at - opened_at,
        steps=tuple(step + 1 for step in page.steps),
        told=tuple(_told(page, moment.at)),
        troubles=tuple(_troubles(page)),
        has_mention=page.has_mention,
        is_for_nobody=page.is_for_nobody,
    )


def _is_same(one: Line, other: Line) -> bool:
    """Whether a moment says nothing that another has not said."""
    return (one.told, one.troubles, one.is_for_nobody) == (
        other.told,
        other.troubles,
        other.is_for_nobody,
    )


def _again(line: Line, later: Line) -> Line:
    return replace(
        line,
        repeats=line.repeats + 1,
        every=line.every or later.at - line.at,
        last_clock=later.clock,
    )


def _told(page: Page, now: datetime) -> Iterable[Told]:
    by_destination: dict[tuple[int | None, int | None], list[Delivery]] = {}
    for delivery in page.deliveries:
        key = (delivery.channel_id, delivery.contact_id)
        by_destination.setdefault(key, []).append(delivery)
    for deliveries in by_destination.values():
        first = deliveries[0]
        yield Told(
            name=first.name,
            ways=tuple(
                _way(delivery, now) for delivery in deliveries if delivery.method
            ),
            why=_why(first.why),
        )


def _way(delivery: Delivery, now: datetime) -> str:
    method = dict(method_kinds()).get(delivery.method, delivery.method)
    wait = delivery.not_before - now
    if not wait:
        return method
    return _("%(method)s after %(wait)s") % {"method": method, "wait": duration(wait)}


def _why(why: Why) -> str:
    match why.target:
        case Target.SCHEDULE:
            said = _("on call in “%(schedule)s”") % {"schedule": why.name}
            if not why.detail:
                return said
            return _("%(what)s: %(why)s") % {"what": said, "why": why.detail}
        case Target.TEAM:
            return _("in the team “%(team)s”") % {"team": why.name}
        case Target.CATCH_ALL:
            return _("the catch-all contact, since nobody else is reached")
        case Target.MATRIX:
            return _("a channel of any priority, since nobody else is reached")
    return ""


def _troubles(page: Page) -> Iterable[str]:
    """Say what reaches nobody, and who is told in its place."""
    for empty in page.empties:
        if page.resort is not None and page.resort != Resort.NOBODY:
            yield timeline.resort_sentence(step=empty.step + 1, resort=page.resort)
    for miss in page.misses:
        yield timeline.miss_sentence(miss=miss.facts)
