"""The simulator answers what paging then does."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from incidents import simulator
from incidents.advancing import advance_due
from incidents.escalation import Step
from incidents.escalation.expanding import Resort, Target, Trouble
from incidents.escalation.hours import is_open
from incidents.models import (
    EscalationPolicy,
    EscalationStep,
    Incident,
    PriorityRule,
    Schedule,
    Service,
    Team,
)
from incidents.simulator_page import lines
from monitors.drills import running
from notifications.models import Channel, Contact, Notification, PersonalRule
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_monitor,
    make_policy,
    make_service,
    make_user,
)
from tests.incidents.oncall.making import (
    make_absence,
    make_override,
    make_rotation,
    make_schedule,
)

pytestmark = pytest.mark.django_db

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
# An ordinary night, and both in which clocks of Paris change while the drill runs.
NIGHTS = {
    "ordinary": datetime(2026, 11, 27, 2, 0, tzinfo=UTC),
    "longest": datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    "shortest": datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
}
LENGTH = 45 * MINUTE
# What at least one of the random drills must have met, or they prove too little.
MET = {
    *NIGHTS,
    *("absence", "unverified address", "disabled person", "own rules", "hours"),
    *("step that waits for its hours", "handoff", "catch-all"),
    *("no steps at all", "digest", "some pages", "many pages"),
    *(f"resort: {resort}" for resort in Resort if resort != Resort.NOBODY),
    *(f"trouble: {trouble}" for trouble in Trouble if trouble != Trouble.FAILED),
}


@dataclass
class World:
    """Random people, channels and schedules of one night, and what was met of `MET`."""

    dice: random.Random
    night: datetime
    met: set[str] = field(default_factory=set)
    people: list[Contact] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)

    def has(self, share: float, what: str) -> bool:
        """Roll the dice; remember what came of them."""
        is_so = self.dice.random() < share
        self.met |= {what} if is_so else set()
        return is_so


def make_people(world: World) -> None:
    """People with mail addresses, some of whom can't be reached."""
    for number in range(4):
        contact = make_contact(
            name=f"Person {number}",
            is_enabled=not world.has(0.1, "disabled person"),
        )
        make_address(
            contact=contact, is_verified=not world.has(0.25, "unverified address")
        )
        if world.has(0.3, "own rules"):
            for method in world.dice.sample(["email", "sms", "slack"], 2):
                PersonalRule.objects.create(
                    contact=contact,
                    priority="p0",
                    method=method,
                    delay_s=world.dice.choice([0, 60, 300, 1200]),
                )
        if world.has(0.3, "absence"):
            start = world.night + world.dice.randint(-60, 40) * MINUTE
            make_absence(contact, start, world.dice.choice([0.25, 0.5, 3]))
        world.people.append(contact)
    if world.has(0.3, "catch-all"):
        world.people[-1].is_catch_all = True
        world.people[-1].save()


def make_schedules(world: World) -> None:
    """One whose turns change in the drill, one with a short cover, one empty."""
    turns = make_schedule(name="Turns")
    values: dict[str, Any] = {"unit": "hour"}
    if world.dice.random() < 0.5:
        values = {"unit": "day", "only_from": time(2, 15), "only_until": time(7)}
    make_rotation(
        turns,
        world.dice.sample(world.people, world.dice.randint(1, 3)),
        handoff_time=world.dice.choice([time(2, 30), time(3), time(9)]),
        **values,
    )
    cover = make_schedule(name="Cover")
    make_override(cover, world.people[0], world.night - 30 * MINUTE, 50 / 60)
    world.schedules += [turns, cover, make_schedule(name="Empty")]


def make_random_policy(world: World) -> EscalationPolicy:
    """A policy of up to four steps, some of which reach nobody."""
    dice = world.dice
    policy = EscalationPolicy.objects.create(name="Random")
    for position in range(dice.randint(0, 4)):
        hours: dict[str, Any] = {}
        if world.has(0.3, "hours"):
            hours = {
                "only_from": dice.choice([time(2, 15), time(2, 45), time(3, 5)]),
                "only_until": dice.choice([time(2, 50), time(3, 30), time(1)]),
            }
        step = EscalationStep.objects.create(
            policy=policy,
            position=position,
            after_s=dice.choice([0, 0, 60, 300, 601, 1500]),
            repeat_s=dice.choice([0, 0, 300, 420]),
            repeat_limit=dice.choice([0, 1, 3]),
            only_weekdays=dice.choice([[], [], [], ["mon", "sun"], ["fri"]]),
            has_mention=dice.random() < 0.3,
            **hours,
        )
        step.channels.set(dice.sample(world.channels, dice.choice([0, 0, 1, 2])))
        step.contacts.set(dice.sample(world.people, dice.choice([0, 0, 1, 2])))
        step.schedules.set(dice.sample(world.schedules, dice.choice([0, 1])))
        if dice.random() < 0.3:
            team = Team.objects.create(name=f"Team {position}")
            team.members.set(dice.sample(world.people, dice.randint(0, 3)))
            step.teams.set([team])
    return policy


def told(incident: Incident) -> list[tuple[object, ...]]:
    """What the drill wrote: when, to whom, by what, not before when."""
    rows = Notification.objects.filter(
        subject_key=f"incident:{incident.pk}", purpose="page"
    )
    return sorted(
        (
            row.queued_at,
            row.channel_id or 0,
            row.address_id or 0,
            row.method,
            row.next_attempt_at,
        )
        for row in rows
    )


def foretold(simulation: simulator.Simulation) -> list[tuple[object, ...]]:
    return sorted(
        (
            moment.at,
            delivery.channel_id or 0,
            delivery.address_id or 0,
            delivery.method,
            delivery.not_before,
        )
        for moment in simulation.moments
        for delivery in moment.page.deliveries
    )


def compare_drill(seed: int) -> set[str]:
    """Foretell one random drill, run it, compare; return what was met."""
    dice = random.Random(seed)
    name = sorted(NIGHTS)[seed % len(NIGHTS)]
    night = NIGHTS[name]
    world = World(dice=dice, night=night, met={name})
    make_people(world)
    world.channels = [make_channel(name="Mail"), make_channel(name="Other")]
    world.channels.append(make_channel(name="Off", is_enabled=False))
    make_schedules(world)
    policy = make_random_policy(world)
    is_fixed = dice.random() < 0.7
    followed = policy
    if is_fixed and dice.random() < 0.5:
        followed = make_policy({"channels": world.channels[:1]}, name="Matrix")
    PriorityRule.objects.create(priority="p0", response_s=300, policy=followed)
    PriorityRule.objects.create(priority="p3", response_s=86400, is_digest=True)
    monitor = make_monitor(service=make_service())
    priority = "p0" if is_fixed else dice.choice(["p0", "p3"])

    simulation = simulator.run(
        service=monitor.service,
        priority=priority,
        at=night,
        fixed=policy if is_fixed else None,
        horizon=LENGTH,
    )
    drill = running.start(
        monitor=monitor,
        priority=priority,
        policy=policy if is_fixed else None,
        now=night,
        length=timedelta(hours=2),
    )
    # An engine that looks when it must, and at times when it need not.
    moments = {moment.at for moment in simulation.moments}
    moments |= {night + MINUTE * n for n in range(0, LENGTH // MINUTE, 11)}
    for now in sorted(moments):
        advance_due(now=now)

    assert told(drill.incident) == foretold(simulation), f"seed {seed}"
    return world.met | what_was_met(simulation)


def what_was_met(simulation: simulator.Simulation) -> set[str]:
    """Name the odd things of an answer, as `MET` does."""
    pages = [moment.page for moment in simulation.moments]
    misses = [miss for page in pages for miss in page.misses]
    owners = {
        delivery.name
        for page in pages
        for delivery in page.deliveries
        if delivery.why.target == Target.SCHEDULE and delivery.why.name == "Turns"
    }
    steps = simulation.policy.steps
    return {
        what
        for what, is_met in (
            ("no steps at all", not any(map(whom, steps)) and not steps[1:]),
            ("digest", simulation.policy.is_digest),
            ("some pages", 1 < len(pages) < 5),
            ("many pages", len(pages) > 10),
            ("handoff", len(owners) > 1),
            (
                "step that waits for its hours",
                any(
                    step.hours is not None
                    and not is_open(step.hours, simulation.at + step.after_s * SECOND)
                    for step in steps
                ),
            ),
        )
        if is_met
    } | {
        *(f"resort: {page.resort}" for page in pages if page.resort),
        *(f"trouble: {miss.trouble}" for miss in misses),
    }


def whom(step: Step) -> tuple[int, ...]:
    return step.channel_ids + step.schedule_ids + step.contact_ids + step.team_ids


def test_50_random_drills_send_what_the_simulator_foretold():
    met: set[str] = set()

    for seed in range(50):
        with transaction.atomic():
            met |= compare_drill(seed)
            transaction.set_rollback(True)

    assert met >= MET


class TestPage:
    @pytest.fixture
    def client(self, client):
        client.force_login(make_user(is_superuser=True, is_staff=True))
        return client

    @pytest.fixture
    def service(self) -> Service:
        service = make_service(name="Backend")
        policy = EscalationPolicy.objects.create(name="Everybody")
        first = EscalationStep.objects.create(
            policy=policy, repeat_s=300, has_mention=True
        )
        first.channels.set([make_channel(name="Ops by mail")])
        second = EscalationStep.objects.create(policy=policy, position=1, after_s=600)
        schedule = Schedule.objects.create(name="Second line", slug="second")
        second.schedules.set([schedule])
        PriorityRule.objects.create(priority="p0", response_s=300, policy=policy)
        PriorityRule.objects.create(priority="p3", response_s=86400, is_digest=True)
        return service

    def ask(self, client, where, /, **values):
        asked = {"service": where.slug, "priority": "p0", "at": "2026-10-25T02:30"}
        return client.get(reverse("simulator"), {**asked, **values})

    def test_empty_form_says_what_will_stand_there(self, client):
        assert "who would be told" in client.get(reverse("simulator")).content.decode()

    def test_answer_is_a_line_of_time_with_reasons(self, client, service):
        text = self.ask(client, service).content.decode()

        assert "On Sunday 25 October 2026, 02:30, a P0 on Backend tells:" in text
        assert "Ops by mail" in text
        assert "By the policy “Everybody”" in text or "comes twice that night" in text
        assert "Again every 5" in text
        assert "nobody is on call for Second line" in text

    def test_hour_that_comes_twice_can_be_asked_for_twice(self, client, service):
        first = self.ask(client, service)
        second = self.ask(client, service, fold="1")

        assert first.context["run"].at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        assert second.context["run"].at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
        assert "this is the first one (CEST)" in first.content.decode()
        assert "this is the second one (CET)" in second.content.decode()

    def test_no_two_moments_of_the_longest_night_read_the_same(self, client, service):
        text = self.ask(client, service).content.decode()

        # An hour of pages from 02:30 on ends at 02:30.
        assert "02:30:00 CEST" in text
        assert "times until 02:30:00 CET." in text
        assert (
            "CEST"
            not in self.ask(client, service, at="2026-06-01T02:30").content.decode()
        )

    def test_deadline_stands_where_it_passes(self, client, service):
        text = self.ask(client, service, at="2026-06-01T02:30").content.decode()

        deadline = text.index("The response deadline passes")
        assert text.index("02:30:00") < deadline < text.index("02:40:00")

    def test_hour_that_the_clock_skips_is_said_to_be_skipped(self, client, service):
        answer = self.ask(client, service, at="2026-03-29T02:30")

        assert answer.context["run"].at == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
        assert "leaves this time out" in answer.content.decode()

    def test_digest_tells_nobody_at_once(self, client, service):
        text = self.ask(client, service, priority="p3").content.decode()

        assert "Nobody at once" in text

    @pytest.mark.parametrize(
        "wrong",
        [
            {"service": "none"},
            {"priority": "p9"},
            {"at": "soon"},
            {"at": "0001-01-01T00:00"},
            {"at": "9999-12-31T23:59"},
            {"minutes": "7"},
        ],
    )
    def test_what_makes_no_sense_is_said_at_its_field(self, client, service, wrong):
        answer = self.ask(client, service, **wrong)

        assert answer.status_code == 200
        assert 'role="alert"' in answer.content.decode()

    def test_it_writes_nothing(self, client, service):
        self.ask(client, service)

        assert not Incident.objects.exists()
        assert not Notification.objects.exists()

    def test_repeats_are_counted_not_listed(self, client, service):
        simulation = simulator.run(service=service, priority="p0", at=timezone.now())

        found = lines(simulation, zone=ZoneInfo("Europe/Paris"))

        assert len(simulation.moments) >= 12
        assert len(found) == 2
        assert found[0].repeats >= 10
