"""Who and what can be reached at a moment: from rows to the plain world of the planner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from incidents.escalation.expanding import Crew, Duty, Road, World
from incidents.escalation.policy import Policy
from incidents.models import EscalationStep, Schedule, Team
from incidents.oncall import who
from notifications import routing
from notifications import services as outbox
from notifications.models import Address, Channel, Contact


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The ids of all that some policies name."""

    channels: frozenset[int]
    schedules: frozenset[int]
    contacts: frozenset[int]
    teams: frozenset[int]

    def covers(self, other: _Wanted) -> bool:
        return (
            self.channels >= other.channels
            and self.schedules >= other.schedules
            and self.contacts >= other.contacts
            and self.teams >= other.teams
        )

    def __or__(self, other: _Wanted) -> _Wanted:
        return _Wanted(
            channels=self.channels | other.channels,
            schedules=self.schedules | other.schedules,
            contacts=self.contacts | other.contacts,
            teams=self.teams | other.teams,
        )


def _wanted(policies: Iterable[Policy]) -> _Wanted:
    steps = [step for policy in policies for step in policy.steps]
    return _Wanted(
        channels=frozenset(chain.from_iterable(step.channel_ids for step in steps)),
        schedules=frozenset(chain.from_iterable(step.schedule_ids for step in steps)),
        contacts=frozenset(chain.from_iterable(step.contact_ids for step in steps)),
        teams=frozenset(chain.from_iterable(step.team_ids for step in steps)),
    )


class Worlds:
    """The worlds of one moment, by priority, looked at once for many incidents."""

    def __init__(self, *, at: datetime) -> None:
        self.at = at
        self._seen = _wanted([])
        self._by_priority: dict[str, World] = {}
        self._channels: dict[int, Channel] = {}
        self._addresses: dict[int, Address] = {}

    def look(self, *, policies: Collection[Policy]) -> None:
        """Look at all that some policies name; some ten queries, none when it is known."""
        wanted = _wanted(policies)
        priorities = {policy.priority for policy in policies}
        if priorities <= self._by_priority.keys() and self._seen.covers(wanted):
            return
        wanted |= self._seen
        priorities |= self._by_priority.keys()
        self._by_priority = _look(wanted, priorities, self.at)
        # Only now: a look that failed has seen nothing.
        self._seen = wanted

    def channel(self, pk: int) -> Channel:
        """Return the row of a channel that a delivery goes to."""
        if pk not in self._channels:
            known = {pk, *chain.from_iterable(w.channels for w in self._all())}
            # One secret that doesn't decrypt must not hide the other channels.
            rows = Channel.objects.filter(pk__in=known).defer("secret")
            self._channels = {row.pk: row for row in rows}
        return self._channels[pk]

    def address(self, pk: int) -> Address:
        """Return the row of an address that a delivery goes to, with its contact."""
        if pk not in self._addresses:
            roads = chain.from_iterable(w.roads.values() for w in self._all())
            known = {pk, *(road.address_id for road in chain.from_iterable(roads))}
            rows = Address.objects.filter(pk__in=known).select_related("contact")
            self._addresses = {row.pk: row for row in rows}
        return self._addresses[pk]

    def _all(self) -> Collection[World]:
        return self._by_priority.values()

    def of(self, policy: Policy) -> World:
        """Return the world for a policy."""
        self.look(policies=[policy])
        return self._by_priority[policy.priority]


def world_of(*, policy: Policy, at: datetime) -> World:
    """Look at who and what a policy can reach at a moment; some ten queries."""
    return Worlds(at=at).of(policy)


def _look(
    wanted: _Wanted, priorities: Collection[str], at: datetime
) -> dict[str, World]:
    matrix = _matrix_channel_ids()
    channels = _channels(wanted.channels | set(matrix))
    duties = _duties(wanted.schedules, at)
    crews = _crews(wanted.teams)
    catch_all_id = routing.catch_all_id()
    people = {
        *wanted.contacts,
        *(duty.contact_id for duty in duties.values() if duty.contact_id is not None),
        *chain.from_iterable(crew.contact_ids for crew in crews.values()),
        *([catch_all_id] if catch_all_id is not None else []),
    }
    names = dict(Contact.objects.filter(pk__in=people).values_list("pk", "name"))
    return {
        priority: World(
            at=at,
            channels={
                pk: name for pk, (name, is_usable) in channels.items() if is_usable
            },
            names={pk: name for pk, (name, _is_usable) in channels.items()},
            contacts=names,
            roads=_roads(people, priority),
            duties=duties,
            crews=crews,
            catch_all_id=catch_all_id,
            matrix_ids=matrix,
        )
        for priority in priorities
    }


def _matrix_channel_ids() -> tuple[int, ...]:
    """Return the channels that any priority tells."""
    rows = EscalationStep.channels.through.objects.filter(
        escalationstep__policy__priority_rules__isnull=False
    )
    return tuple(sorted(set(rows.values_list("channel_id", flat=True))))


def _channels(ids: Collection[int]) -> dict[int, tuple[str, bool]]:
    """Return the name of each channel and whether it can be used."""
    rows = Channel.objects.filter(pk__in=ids)
    usable = set(outbox.usable_channels(rows).values_list("pk", flat=True))
    return {
        pk: (name, pk in usable)
        for pk, name in rows.order_by("pk").values_list("pk", "name")
    }


def _duties(ids: Collection[int], at: datetime) -> dict[int, Duty]:
    """Say who is on call for each schedule that exists."""
    if not ids:
        return {}
    names = dict(Schedule.objects.filter(pk__in=ids).values_list("pk", "name"))
    return {
        pk: Duty(
            name=names.get(pk, f"#{pk}"),
            contact_id=shift.contact_id,
            why=shift.why.label,
        )
        for pk, shift in who.on_call_of(schedule_ids=ids, at=at).items()
    }


def _crews(ids: Collection[int]) -> dict[int, Crew]:
    if not ids:
        return {}
    teams = Team.objects.filter(pk__in=ids).prefetch_related("members")
    return {
        team.pk: Crew(
            name=team.name,
            contact_ids=tuple(sorted(member.pk for member in team.members.all())),
        )
        for team in teams
    }


def _roads(people: Collection[int], priority: str) -> Mapping[int, tuple[Road, ...]]:
    if not people:
        return {}
    routes = routing.routes_for(contacts=people, priority=priority)
    return {
        contact_id: tuple(
            Road(
                address_id=route.address_id,
                method=route.method,
                delay_s=route.delay_s,
                why=route.why,
            )
            for route in found
        )
        for contact_id, found in routes.items()
    }
