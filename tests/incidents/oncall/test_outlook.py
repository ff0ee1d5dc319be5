"""What is wrong with the next two weeks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from incidents.oncall import outlook, wording
from incidents.oncall.plan import Away, Cover, Imported, WhyKind
from tests.incidents.oncall.planning import PARIS
from tests.incidents.oncall.test_calendar import (
    ANA,
    BO,
    CLEO,
    make_layer,
    make_plan,
    paris,
)

START, HOUR = paris(2026, 1, 5, 9), timedelta(hours=1)
NAMES = {ANA: "Ana", BO: "Bo", CLEO: "Cleo"}


def said(plan) -> list[str]:
    return [
        wording.flaw(found, names=NAMES, zone=PARIS, now=START)
        for found in outlook.flaws(plan, START)
    ]


def test_good_calendar_has_no_flaws():
    assert said(make_plan(make_layer())) == []


def test_gap_is_a_flaw_only_round_the_clock():
    weekdays = make_layer(weekdays=frozenset(range(5)))
    plan = make_plan(weekdays)

    assert said(plan) == [
        "10 Jan, 00:00 – 12 Jan, 00:00: nobody is on call.",
        "17 Jan, 00:00 – 19 Jan, 00:00: nobody is on call.",
    ]
    assert said(replace(plan, is_continuous=False)) == []


def test_absence_without_anybody_instead_is_always_a_flaw():
    away = Away(ANA, START + HOUR, START + 3 * HOUR)
    plan = make_plan(make_layer(contact_ids=(ANA,)), aways=(away,), is_continuous=False)

    assert said(plan) == ["10:00 – 12:00: Ana is absent and nobody stands in."]


def test_two_who_are_both_said_to_be_on_call_overlap():
    first = Cover(1, ANA, START, START + 5 * HOUR)
    later = Cover(2, BO, START + 3 * HOUR, START + 7 * HOUR)
    imported = (
        Imported(2, BO, START + 9 * HOUR, START + 11 * HOUR),
        Imported(1, CLEO, START + 8 * HOUR, START + 10 * HOUR),
    )
    plan = make_plan(make_layer(), covers=(later, first), imported=imported)

    assert said(plan) == [
        "12:00 – 14:00: both Bo and Ana; Bo is paged.",
        "18:00 – 19:00: both Cleo and Bo; Cleo is paged.",
    ]


@pytest.mark.parametrize(
    "made", [{"kind": WhyKind.TAKEN}, {"kind": WhyKind.SWAP}, {"instead_of": ANA}]
)
def test_shift_taken_from_who_stands_in_is_no_overlap(made):
    first = Cover(1, ANA, START, START + 5 * HOUR)
    later = Cover(2, BO, START + 3 * HOUR, START + 7 * HOUR, **made)

    assert said(make_plan(make_layer(), covers=(later, first))) == []


def test_of_thousands_of_overlaps_a_hundred_are_said():
    imported = [
        Imported(number, 1 + number % 2, START + HOUR, START + 2 * HOUR)
        for number in range(2000)
    ]

    found = outlook.flaws(make_plan(make_layer(), imported=tuple(imported)), START)

    assert len(found) == 100


def test_only_time_that_loses_its_owner_is_newly_open():
    before = make_plan(make_layer(weekdays=frozenset(range(5))))
    after = make_plan(make_layer(weekdays=frozenset(range(4))))

    found = outlook.newly_open(
        {1: before}, {1: after}, START, START + timedelta(days=7)
    )

    # Friday is lost; the weekend was open before.
    assert [(gap.start, gap.end) for gap in found] == [
        (paris(2026, 1, 9), paris(2026, 1, 10))
    ]


def test_schedule_that_is_deleted_is_open_wherever_it_had_somebody():
    found = outlook.newly_open({1: make_plan(make_layer())}, {}, START, START + HOUR)
    assert [(gap.start, gap.end) for gap in found] == [(START, START + HOUR)]
