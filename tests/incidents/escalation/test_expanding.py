"""Who is told by what, and what happens when nobody is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from incidents.escalation import Hours, Policy, Step
from incidents.escalation.expanding import (
    Avoid,
    Crew,
    Duty,
    Page,
    Resort,
    Road,
    Target,
    Trouble,
    World,
    decide,
    expand,
)

NOON = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
ANA, BEN, EVE = 1, 2, 3
SLACK, MAIL, OFF = 10, 11, 12
WORLD = World(
    at=NOON,
    channels={SLACK: "Slack", MAIL: "Mail"},
    names={SLACK: "Slack", MAIL: "Mail", OFF: "Off"},
    contacts={ANA: "Ana", BEN: "Ben", EVE: "Eve"},
    roads={
        ANA: (Road(100, "sms"), Road(101, "email"), Road(100, "voice", 120)),
        BEN: (Road(200, "email"),),
        EVE: (),
    },
    duties={5: Duty("On call", ANA, "Week"), 6: Duty("Second", None)},
    crews={7: Crew("Team", (ANA, BEN)), 8: Crew("Nobody yet", ())},
    matrix_ids=(SLACK, MAIL),
)


def told(page: Page) -> list[tuple[str, str]]:
    return [(each.name, each.method) for each in page.deliveries]


def ask(*steps: Step, turn: tuple[int, ...] = (0,), **values: Any) -> Page:
    world = replace(WORLD, **values.pop("world", {}))
    policy = Policy(priority="p0", response_s=300, steps=steps)
    return decide(policy=policy, steps=turn, world=world, **values)


def test_person_on_call_is_told_by_every_road_at_its_time():
    found = expand(step=Step(schedule_ids=(5,)), place=0, world=WORLD)

    assert [
        (each.address_id, each.method, each.not_before - NOON)
        for each in found.deliveries
    ] == [
        (100, "sms", timedelta()),
        (101, "email", timedelta()),
        (100, "voice", timedelta(seconds=120)),
    ]
    assert {each.why.target for each in found.deliveries} == {Target.SCHEDULE}
    assert found.deliveries[0].why.name == "On call"
    assert found.deliveries[0].why.detail == "Week"


def test_person_named_twice_is_told_once():
    page = ask(Step(schedule_ids=(5,), contact_ids=(ANA,), team_ids=(7,)))

    assert told(page) == [
        ("Ana", "sms"),
        ("Ana", "email"),
        ("Ana", "voice"),
        ("Ben", "email"),
    ]


def test_what_reaches_nobody_is_named_with_its_reason():
    found = expand(
        step=Step(
            channel_ids=(OFF, 99),
            schedule_ids=(6,),
            contact_ids=(EVE,),
            team_ids=(8,),
        ),
        place=0,
        world=WORLD,
    )

    assert found.deliveries == ()
    assert [(miss.name, miss.trouble) for miss in found.misses] == [
        ("Off", Trouble.UNUSABLE),
        ("#99", Trouble.UNUSABLE),
        ("Second", Trouble.NOBODY_ON_CALL),
        ("Eve", Trouble.NO_ADDRESS),
        ("Nobody yet", Trouble.EMPTY_TEAM),
    ]


def test_step_that_reaches_nobody_hands_on_to_the_next_at_once():
    page = ask(
        Step(schedule_ids=(6,)),
        Step(after_s=300, contact_ids=(EVE,)),
        Step(after_s=600, contact_ids=(BEN,)),
        Step(after_s=900, channel_ids=(MAIL,)),
    )

    assert told(page) == [("Ben", "email")]
    assert page.resort == Resort.NEXT_STEP
    assert [empty.step for empty in page.empties] == [0, 1]


def test_next_step_outside_of_its_hours_is_passed_over():
    night = Hours("UTC", only_from=time(22), only_until=time(6))
    page = ask(
        Step(schedule_ids=(6,)),
        Step(after_s=300, contact_ids=(ANA,), hours=night),
        Step(after_s=600, contact_ids=(BEN,)),
    )

    assert told(page) == [("Ben", "email")]


def test_policy_that_reaches_nobody_goes_to_the_catch_all():
    page = ask(Step(schedule_ids=(6,)), world={"catch_all_id": BEN})

    assert told(page) == [("Ben", "email")]
    assert page.resort == Resort.CATCH_ALL
    assert page.deliveries[0].step is None


def test_last_step_without_anybody_goes_to_the_catch_all_beside_the_others():
    page = ask(
        Step(channel_ids=(SLACK,), repeat_s=300),
        Step(after_s=600, schedule_ids=(6,)),
        turn=(0, 1),
        world={"catch_all_id": BEN},
    )

    assert told(page) == [("Slack", ""), ("Ben", "email")]
    assert page.resort == Resort.CATCH_ALL


def test_last_step_without_anybody_or_catch_all_tells_the_others_again():
    page = ask(
        Step(channel_ids=(SLACK,)), Step(after_s=600, schedule_ids=(6,)), turn=(1,)
    )

    assert told(page) == [("Slack", "")]
    assert page.resort == Resort.OTHER_STEPS


def test_without_anybody_at_all_every_channel_of_the_matrix_is_told():
    page = ask(Step(schedule_ids=(6,)))

    assert told(page) == [("Slack", ""), ("Mail", "")]
    assert page.resort == Resort.MATRIX


def test_nobody_is_said():
    page = ask(Step(schedule_ids=(6,)), world={"channels": {}})

    assert page.is_for_nobody
    assert page.resort == Resort.NOBODY


def test_what_failed_is_avoided_and_what_is_left_comes_at_once():
    page = ask(
        Step(channel_ids=(SLACK,), contact_ids=(ANA,)),
        avoid=Avoid(channels=frozenset({SLACK}), addresses=frozenset({101, 100})),
        world={
            "roads": {
                ANA: (Road(100, "sms"), Road(101, "email"), Road(102, "voice", 120))
            }
        },
    )

    assert told(page) == [("Ana", "voice")]
    assert page.deliveries[0].not_before == NOON


def test_who_knows_already_is_left_out():
    page = ask(Step(channel_ids=(SLACK, MAIL), contact_ids=(ANA, BEN)))

    left = page.without(channels=frozenset({SLACK}), contacts=frozenset({ANA}))

    assert told(left) == [("Mail", ""), ("Ben", "email")]


_steps = st.builds(
    Step,
    after_s=st.sampled_from((0, 300, 600)),
    channel_ids=st.lists(st.sampled_from((SLACK, MAIL, OFF)), unique=True).map(tuple),
    schedule_ids=st.lists(st.sampled_from((5, 6)), unique=True).map(tuple),
    contact_ids=st.lists(st.sampled_from((ANA, BEN, EVE)), unique=True).map(tuple),
    team_ids=st.lists(st.sampled_from((7, 8)), unique=True).map(tuple),
)


@given(
    steps=st.lists(_steps, min_size=1, max_size=5),
    data=st.data(),
    usable=st.frozensets(st.sampled_from((SLACK, MAIL))),
    reachable=st.frozensets(st.sampled_from((ANA, BEN))),
    catch_all=st.sampled_from((None, ANA, BEN, EVE)),
)
def test_a_page_is_for_nobody_only_when_nobody_can_be_told(
    steps, data, usable, reachable, catch_all
):
    turn = tuple(
        sorted(data.draw(st.sets(st.sampled_from(range(len(steps))), min_size=1)))
    )
    world = {
        "channels": {pk: WORLD.channels[pk] for pk in usable},
        "roads": {pk: WORLD.roads[pk] for pk in reachable},
        "catch_all_id": catch_all,
    }

    page = ask(*steps, turn=turn, world=world)

    places = [
        (each.channel_id, each.address_id, each.method) for each in page.deliveries
    ]
    assert len(places) == len(set(places))
    named = {each.contact_id for each in page.deliveries} - {None}
    assert named <= reachable
    people = {ANA, BEN} if any(7 in step.team_ids for step in steps) else set()
    people |= {pk for step in steps for pk in step.contact_ids}
    people |= {ANA} if any(5 in step.schedule_ids for step in steps) else set()
    people |= {catch_all}
    can_be_told = bool(people & reachable) or bool(usable)
    assert page.is_for_nobody is not can_be_told
