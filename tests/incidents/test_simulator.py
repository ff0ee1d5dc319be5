"""The simulator answers what paging then does."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from incidents import simulator
from incidents.advancing import advance_due
from incidents.models import (
    EscalationPolicy,
    EscalationStep,
    Incident,
    Override,
    PriorityRule,
    Schedule,
    Service,
    Team,
)
from incidents.simulator_page import lines
from monitors.drills import running
from notifications.models import Contact, Notification
from tests.factories import (
    make_address,
    make_channel,
    make_contact,
    make_monitor,
    make_service,
    make_user,
)

pytestmark = pytest.mark.django_db

NIGHT = datetime(2026, 11, 27, 2, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def make_people(count: int) -> list[Contact]:
    """People with verified mail addresses, the first ones with Slack, too."""
    people = []
    for number in range(count):
        contact = make_contact(name=f"Person {number}")
        make_address(contact=contact, kind="email", value=f"p{number}@example.org")
        people.append(contact)
    return people


def make_random_policy(
    dice: random.Random, people, channels, schedules
) -> EscalationPolicy:
    """A policy of up to four steps, some of which reach nobody."""
    policy = EscalationPolicy.objects.create(name=f"Random {dice.random()}")
    for position in range(dice.randint(0, 4)):
        step = EscalationStep.objects.create(
            policy=policy,
            position=position,
            after_s=dice.choice([0, 0, 60, 300, 601, 1500]),
            repeat_s=dice.choice([0, 0, 60, 300, 420]),
            repeat_limit=dice.choice([0, 1, 3]),
            only_weekdays=dice.choice([[], [], ["mon", "tue"], ["fri"]]),
            has_mention=dice.random() < 0.3,
        )
        step.channels.set(dice.sample(channels, dice.randint(0, 2)))
        step.contacts.set(dice.sample(people, dice.randint(0, 2)))
        step.schedules.set(dice.sample(schedules, dice.randint(0, 1)))
        if dice.random() < 0.3:
            team = Team.objects.create(name=f"Team {dice.random()}")
            team.members.set(dice.sample(people, dice.randint(0, 3)))
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


@pytest.mark.parametrize("seed", range(50))
def test_drill_sends_what_the_simulator_foretold(seed):
    dice = random.Random(seed)
    people = make_people(4)
    channels = [make_channel(name="Mail"), make_channel(name="Other")]
    channels.append(make_channel(name="Off", is_enabled=False))
    schedules = [
        Schedule.objects.create(name=f"Schedule {n}", slug=f"s{n}") for n in range(2)
    ]
    Override.objects.create(
        schedule=schedules[0],
        contact=people[0],
        starts_at=NIGHT - timedelta(hours=1),
        ends_at=NIGHT + timedelta(minutes=20),
    )
    if dice.random() < 0.5:
        Contact.objects.filter(pk=people[3].pk).update(is_catch_all=True)
    policy = make_random_policy(dice, people, channels, schedules)
    PriorityRule.objects.create(priority="p0", response_s=300, policy=policy)
    monitor = make_monitor(service=make_service())
    priority = dice.choice(["p0", "p0", "p1"])

    simulation = simulator.run(
        service=monitor.service, priority=priority, at=NIGHT, fixed=policy
    )
    drill = running.start(
        monitor=monitor,
        priority=priority,
        policy=policy,
        now=NIGHT,
        length=timedelta(hours=2),
    )
    # An engine that looks when it must, and at times when it need not.
    moments = {moment.at for moment in simulation.moments}
    moments |= {NIGHT + MINUTE * n for n in range(0, 61, 7)}
    for now in sorted(moments):
        advance_due(now=now)

    assert told(drill.incident) == foretold(simulation)


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
        assert "this is the first one" in first.content.decode()
        assert "this is the second one" in second.content.decode()

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

        found = lines(simulation)

        assert len(simulation.moments) >= 12
        assert len(found) == 2
        assert found[0].repeats >= 10
