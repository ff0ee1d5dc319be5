"""From steps to deliveries: who is told by which way, and what happens when nobody is.

The world is a plain picture of who and what can be reached at one moment; `decide`
answers the same for paging, which writes rows, and for the simulator, which shows them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from incidents.escalation import hours
from incidents.escalation.policy import Policy, Step


class Target(StrEnum):
    """What a step names, or what stands in when it reaches nobody."""

    CHANNEL = "channel"
    SCHEDULE = "schedule"
    CONTACT = "contact"
    TEAM = "team"
    CATCH_ALL = "catch_all"
    # Every channel that any priority tells.
    MATRIX = "matrix"


class Trouble(StrEnum):
    """Why something that a step names reaches nobody."""

    # Disabled, not configured, or deleted.
    UNUSABLE = "unusable"
    NOBODY_ON_CALL = "nobody_on_call"
    EMPTY_TEAM = "empty_team"
    # A person without any enabled, verified address that something can send to.
    NO_ADDRESS = "no_address"
    # It refused an earlier page about this incident.
    FAILED = "failed"


class Resort(StrEnum):
    """Who was told in place of a step that reached nobody."""

    NEXT_STEP = "step"
    CATCH_ALL = "catch_all"
    # The other steps of the policy, whatever their time.
    OTHER_STEPS = "policy"
    MATRIX = "matrix"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Road:
    """One way to a person: an address, by what it is used, how long after the page."""

    address_id: int
    method: str
    delay_s: int = 0
    # In words.
    why: str = ""


@dataclass(frozen=True, slots=True)
class Duty:
    """A schedule at that moment: its name, who is on call (None: nobody), why, in words."""

    name: str
    contact_id: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Crew:
    """A team: its name and its members."""

    name: str
    contact_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class World:
    """Who and what can be reached at `at`. Channels that can't be used have no place in
    `channels`; `names` tells how people call those too. A person without roads can't be
    reached.
    """

    at: datetime
    channels: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    contacts: Mapping[int, str] = field(default_factory=dict)
    roads: Mapping[int, tuple[Road, ...]] = field(default_factory=dict)
    duties: Mapping[int, Duty] = field(default_factory=dict)
    crews: Mapping[int, Crew] = field(default_factory=dict)
    catch_all_id: int | None = None
    matrix_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Why:
    """For what reason a delivery goes where it goes; `detail` in words."""

    target: Target
    name: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one destination: a channel, or an address of a person.

    `step` is the place of the step in whose name it goes; None for what stands in for
    a step. `name` is the channel's or the person's.
    """

    step: int | None
    name: str
    not_before: datetime
    why: Why
    channel_id: int | None = None
    contact_id: int | None = None
    address_id: int | None = None
    method: str = ""
    # Of the road, in words.
    how: str = ""


@dataclass(frozen=True, slots=True)
class Miss:
    """Something that a step names and that reaches nobody. `via`: whose turn it was."""

    target: Target
    name: str
    trouble: Trouble
    via: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """What the timeline keeps of it."""
        return {
            "target": self.target,
            "name": self.name,
            "trouble": self.trouble,
            "via": self.via,
        }


@dataclass(frozen=True, slots=True)
class Reached:
    """What one step comes to: its deliveries and what it missed."""

    deliveries: tuple[Delivery, ...] = ()
    misses: tuple[Miss, ...] = ()


@dataclass(frozen=True, slots=True)
class Empty:
    """A step that reached nobody."""

    step: int
    misses: tuple[Miss, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that leaves at one moment, each destination once.

    `steps` are those whose turn it was; `empties` those that reached nobody, with
    `resort`, who was told in their place (empty: nothing was missed).
    """

    steps: tuple[int, ...]
    deliveries: tuple[Delivery, ...] = ()
    misses: tuple[Miss, ...] = ()
    empties: tuple[Empty, ...] = ()
    resort: Resort | None = None
    has_mention: bool = False

    @property
    def is_for_nobody(self) -> bool:
        """Whether nobody can be told."""
        return not self.deliveries

    def without(
        self,
        *,
        channels: Set[int],
        contacts: Set[int] = frozenset(),
        ways: Set[tuple[int | None, str]] = frozenset(),
    ) -> Page:
        """Leave out who knows already; `ways`: addresses and by which method."""
        return replace(
            self,
            deliveries=tuple(
                delivery
                for delivery in self.deliveries
                if delivery.channel_id not in channels
                and delivery.contact_id not in contacts
                and (delivery.address_id, delivery.method) not in ways
            ),
        )


@dataclass(frozen=True, slots=True)
class Avoid:
    """Destinations that are known not to deliver, by id."""

    channels: frozenset[int] = frozenset()
    addresses: frozenset[int] = frozenset()


NOTHING_TO_AVOID = Avoid()


def expand(
    *, step: Step, place: int, world: World, avoid: Avoid = NOTHING_TO_AVOID
) -> Reached:
    """Return what one step comes to in a world: every channel, every person once.

    A person whom several things name is told in the name of the first: schedules, then
    people, then teams.
    """
    deliveries: list[Delivery] = []
    misses: list[Miss] = []
    for channel_id in step.channel_ids:
        found = _to_channel(channel_id, place, world, avoid)
        if isinstance(found, Delivery):
            deliveries.append(found)
        else:
            misses.append(found)
    seen: set[int] = set()
    for why, contact_id, trouble in _people(step, world):
        if contact_id is None:
            misses.append(Miss(target=why.target, name=why.name, trouble=trouble))
        elif contact_id not in seen:
            seen.add(contact_id)
            roads = _to_person(contact_id, place, why, world, avoid)
            deliveries += roads
            if not roads:
                misses.append(_unreachable(contact_id, why, world, avoid))
    return Reached(deliveries=tuple(deliveries), misses=tuple(misses))


def decide(
    *,
    policy: Policy,
    steps: Iterable[int],
    world: World,
    avoid: Avoid = NOTHING_TO_AVOID,
) -> Page:
    """Return all that leaves when it is the turn of some steps.

    A step that reaches nobody hands on to the next one at once (one outside of its
    hours is passed over), the last one to the catch-all contact, else to the other
    steps whatever their time, else to every channel of the matrix.
    """
    turn = tuple(steps)
    page = _Page(policy=policy, world=world, avoid=avoid)
    resort: Resort | None = None
    for place in turn:
        if page.add(place):
            continue
        ahead = range(place + 1, len(policy.steps))
        if any(page.add(other) for other in ahead if page.is_open(other)):
            resort = resort or Resort.NEXT_STEP
        else:
            resort = page.last_resort(turn)
    if not policy.steps:
        resort = page.last_resort(turn)
    return page.done(turn, resort)


class _Page:
    """A page in the making."""

    def __init__(self, *, policy: Policy, world: World, avoid: Avoid) -> None:
        self._policy, self._world, self._avoid = policy, world, avoid
        self._deliveries: dict[tuple[int | None, int | None, str], Delivery] = {}
        self._contacts: set[int] = set()
        self._reached: dict[int, Reached] = {}

    def is_open(self, place: int) -> bool:
        return hours.is_open(self._policy.steps[place].hours, self._world.at)

    def add(self, place: int) -> bool:
        """Let one step tell whom it names; return whether it reaches anybody."""
        if place not in self._reached:
            self._reached[place] = expand(
                step=self._policy.steps[place],
                place=place,
                world=self._world,
                avoid=self._avoid,
            )
            self._take(self._reached[place].deliveries)
        return bool(self._reached[place].deliveries)

    def last_resort(self, turn: tuple[int, ...]) -> Resort:
        """Tell whoever can be told when the ladder ends without anybody."""
        world = self._world
        if world.catch_all_id is not None:
            why = Why(target=Target.CATCH_ALL)
            roads = _to_person(world.catch_all_id, None, why, world, self._avoid)
            self._take(roads)
            if roads:
                return Resort.CATCH_ALL
        others = [n for n in range(len(self._policy.steps)) if n not in turn]
        for place in others:
            self.add(place)
        if self._deliveries:
            return Resort.OTHER_STEPS
        self._take(_matrix(world, self._avoid))
        return Resort.MATRIX if self._deliveries else Resort.NOBODY

    def _take(self, deliveries: Iterable[Delivery]) -> None:
        """Keep each destination once, and each person in the name of one step."""
        fresh = list(deliveries)
        for delivery in fresh:
            if delivery.contact_id in self._contacts:
                continue
            key = (delivery.channel_id, delivery.address_id, delivery.method)
            self._deliveries.setdefault(key, delivery)
        self._contacts |= {
            delivery.contact_id for delivery in fresh if delivery.contact_id is not None
        }

    def done(self, turn: tuple[int, ...], resort: Resort | None) -> Page:
        used = [self._policy.steps[place] for place in self._reached]
        return Page(
            steps=turn,
            deliveries=tuple(self._deliveries.values()),
            misses=tuple(
                miss for found in self._reached.values() for miss in found.misses
            ),
            empties=tuple(
                Empty(step=place, misses=found.misses)
                for place, found in sorted(self._reached.items())
                if not found.deliveries
            ),
            resort=resort,
            has_mention=any(step.has_mention for step in used),
        )


def _to_channel(
    channel_id: int, place: int | None, world: World, avoid: Avoid
) -> Delivery | Miss:
    name = world.names.get(channel_id, f"#{channel_id}")
    if channel_id not in world.channels:
        return Miss(target=Target.CHANNEL, name=name, trouble=Trouble.UNUSABLE)
    if channel_id in avoid.channels:
        return Miss(target=Target.CHANNEL, name=name, trouble=Trouble.FAILED)
    return Delivery(
        step=place,
        name=world.channels[channel_id],
        not_before=world.at,
        why=Why(target=Target.CHANNEL, name=world.channels[channel_id]),
        channel_id=channel_id,
    )


def _people(step: Step, world: World) -> Iterator[tuple[Why, int | None, Trouble]]:
    """Name everybody whom a step means; nobody, with the trouble, where it has none."""
    for schedule_id in step.schedule_ids:
        duty = world.duties.get(
            schedule_id, Duty(name=f"#{schedule_id}", contact_id=None)
        )
        why = Why(target=Target.SCHEDULE, name=duty.name, detail=duty.why)
        yield why, duty.contact_id, Trouble.NOBODY_ON_CALL
    for contact_id in step.contact_ids:
        name = world.contacts.get(contact_id, f"#{contact_id}")
        yield Why(target=Target.CONTACT, name=name), contact_id, Trouble.NO_ADDRESS
    for team_id in step.team_ids:
        crew = world.crews.get(team_id, Crew(name=f"#{team_id}", contact_ids=()))
        why = Why(target=Target.TEAM, name=crew.name)
        if not crew.contact_ids:
            yield why, None, Trouble.EMPTY_TEAM
        for contact_id in crew.contact_ids:
            yield why, contact_id, Trouble.NO_ADDRESS


def _to_person(
    contact_id: int, place: int | None, why: Why, world: World, avoid: Avoid
) -> list[Delivery]:
    roads = world.roads.get(contact_id, ())
    usable = [road for road in roads if road.address_id not in avoid.addresses]
    if not usable:
        return []
    # What is left comes when the first of all would have come.
    early_s = min(road.delay_s for road in usable) - min(road.delay_s for road in roads)
    return [
        Delivery(
            step=place,
            name=world.contacts.get(contact_id, f"#{contact_id}"),
            not_before=world.at + timedelta(seconds=road.delay_s - early_s),
            why=why,
            contact_id=contact_id,
            address_id=road.address_id,
            method=road.method,
            how=road.why,
        )
        for road in usable
    ]


def _unreachable(contact_id: int, why: Why, world: World, avoid: Avoid) -> Miss:
    has_failed = bool(world.roads.get(contact_id))
    return Miss(
        target=Target.CONTACT,
        name=world.contacts.get(contact_id, f"#{contact_id}"),
        trouble=Trouble.FAILED if has_failed else Trouble.NO_ADDRESS,
        via="" if why.target == Target.CONTACT else why.name,
    )


def _matrix(world: World, avoid: Avoid) -> list[Delivery]:
    return [
        Delivery(
            step=None,
            name=world.channels[channel_id],
            not_before=world.at,
            why=Why(target=Target.MATRIX),
            channel_id=channel_id,
        )
        for channel_id in world.matrix_ids
        if channel_id in world.channels and channel_id not in avoid.channels
    ]
