"""Who is on call, by property and by example."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.oncall import calendar, wall
from incidents.oncall.plan import Away, Cover, Layer, Plan, Unit, WhyKind
from tests.incidents.oncall.planning import PARIS, oracle, plans

ANA, BO, CLEO = 1, 2, 3


def make_layer(**values: object) -> Layer:
    base: dict[str, object] = {
        "id": 1,
        "name": "Weeks",
        "unit": Unit.WEEK,
        "length": 1,
        "handoff": time(9),
        "starts_on": date(2026, 1, 5),
        "contact_ids": (ANA, BO),
    }
    return Layer(**(base | values))  # type: ignore[arg-type]


def make_plan(*layers: Layer, **values: object) -> Plan:
    return Plan(
        schedule_id=1,
        name="On call",
        zone=PARIS,
        layers=layers,
        **values,  # type: ignore[arg-type]
    )


def paris(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=PARIS, fold=fold).astimezone(UTC)  # type: ignore[misc, arg-type]


@settings(max_examples=150, deadline=None)
@given(found=plans(), data=st.data())
def test_every_instant_has_exactly_the_owner_that_the_layers_say(
    found: tuple[Plan, tuple[datetime, datetime]], data: st.DataObject
) -> None:
    plan, (start, end) = found
    shifts = calendar.shifts(plan, start, end)
    for shift in shifts:
        length = (shift.end - shift.start) // timedelta(minutes=1)
        some = data.draw(st.integers(0, max(0, length - 1)))
        for at in (
            shift.start,
            shift.start + timedelta(minutes=some),
            shift.end - timedelta(seconds=1),
        ):
            assert oracle(plan, at) == (shift.contact_id, shift.why.kind)


@settings(max_examples=300, deadline=None)
@given(found=plans())
def test_hours_add_up_to_elapsed_time(
    found: tuple[Plan, tuple[datetime, datetime]],
) -> None:
    plan, (start, end) = found
    shifts = calendar.shifts(plan, start, end)
    assert shifts[0].start == start
    assert shifts[-1].end == end
    assert all(one.end == other.start for one, other in pairwise(shifts))
    assert all(one.start < one.end for one in shifts)
    total = sum((one.end - one.start for one in shifts), timedelta())
    assert total == end - start


@settings(max_examples=200, deadline=None)
@given(found=plans(), part=st.floats(0, 1))
def test_an_instant_and_a_stretch_give_the_same_answer(
    found: tuple[Plan, tuple[datetime, datetime]], part: float
) -> None:
    plan, (start, end) = found
    at = start + timedelta(minutes=int((end - start) / timedelta(minutes=1) * part))
    at = min(at, end - timedelta(minutes=1))
    whole = calendar.on_call_at(plan, at)
    assert whole.start <= at < whole.end
    in_stretch = next(
        one for one in calendar.shifts(plan, start, end) if one.start <= at < one.end
    )
    assert (whole.contact_id, whole.why) == (in_stretch.contact_id, in_stretch.why)
    # The stretch cuts shifts at its edges, and nowhere else.
    assert max(whole.start, start) == in_stretch.start
    assert min(whole.end, end) == in_stretch.end


@settings(max_examples=150, deadline=None)
@given(found=plans(), data=st.data())
def test_cutting_a_stretch_in_two_changes_nobody(
    found: tuple[Plan, tuple[datetime, datetime]], data: st.DataObject
) -> None:
    plan, (start, end) = found
    minutes = (end - start) // timedelta(minutes=1)
    middle = start + timedelta(minutes=data.draw(st.integers(0, minutes)))
    halves = calendar.shifts(plan, start, middle) + calendar.shifts(plan, middle, end)
    whole = calendar.shifts(plan, start, end)
    assert calendar.joined(halves) == calendar.joined(whole)


@settings(max_examples=100, deadline=None)
@given(found=plans())
def test_who_is_next_is_the_first_other_person(
    found: tuple[Plan, tuple[datetime, datetime]],
) -> None:
    plan, (start, end) = found
    now = calendar.on_call_at(plan, start)
    after = calendar.next_shift(plan, start)
    others = [
        one
        for one in calendar.shifts(plan, start, end)
        if one.contact_id not in {None, now.contact_id}
    ]
    if others:
        assert after is not None
        assert (after.start, after.contact_id) == (
            others[0].start,
            others[0].contact_id,
        )
    else:
        assert after is None or after.start >= end


@pytest.mark.parametrize(
    ("shown", "first", "last"),
    [
        # Skipped: both are the moment of the skip.
        ("2026-03-29 02:30", (1, 0), (1, 0)),
        ("2026-03-29 03:00", (1, 0), (1, 0)),
        # Twice: an hour apart.
        ("2026-10-25 02:30", (0, 30), (1, 30)),
        ("2026-10-25 03:00", (2, 0), (2, 0)),
    ],
)
def test_odd_wall_times_of_paris(
    shown: str, first: tuple[int, int], last: tuple[int, int]
) -> None:
    wall_time = datetime.fromisoformat(shown)
    day = datetime.combine(wall_time.date(), time.min, UTC)
    assert wall.first(wall_time, PARIS) == day.replace(hour=first[0], minute=first[1])
    assert wall.last(wall_time, PARIS) == day.replace(hour=last[0], minute=last[1])


def test_skip_of_half_an_hour_is_found() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")
    skipped = datetime.fromisoformat("2026-10-04 02:10")
    assert wall.first(skipped, lord_howe) == datetime(2026, 10, 3, 15, 30, tzinfo=UTC)


def test_handoff_at_a_skipped_time_happens_at_the_skip() -> None:
    layer = make_layer(unit=Unit.DAY, handoff=time(2, 30), starts_on=date(2026, 3, 27))
    shifts = calendar.shifts(
        make_plan(layer), paris(2026, 3, 28, 2, 30), paris(2026, 3, 30, 2, 30)
    )
    assert [(one.start, one.contact_id) for one in shifts] == [
        (paris(2026, 3, 28, 2, 30), BO),
        (paris(2026, 3, 29, 3, 0), ANA),
    ]


def test_handoff_at_a_doubled_time_happens_at_the_first() -> None:
    layer = make_layer(unit=Unit.DAY, handoff=time(2, 30), starts_on=date(2026, 10, 23))
    plan = make_plan(layer)
    handoff = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert calendar.on_call_at(plan, handoff - timedelta(seconds=1)).contact_id == BO
    assert calendar.on_call_at(plan, handoff).contact_id == ANA
    assert calendar.on_call_at(plan, handoff + timedelta(hours=1)).contact_id == ANA


def test_office_hours_last_until_the_second_half_past_two() -> None:
    night = make_layer(only_from=time(22), only_until=time(2, 30))
    shifts = calendar.shifts(
        make_plan(night), paris(2026, 10, 24, 12), paris(2026, 10, 25, 12)
    )
    assert [one.contact_id is None for one in shifts] == [True, False, True]
    assert shifts[1].end == paris(2026, 10, 25, 2, 30, fold=1)
    assert shifts[1].end - shifts[1].start == timedelta(hours=5, minutes=30)


def test_higher_layer_wins_and_the_lower_one_fills_its_pauses() -> None:
    weekend = make_layer(
        id=2, name="Weekends", weekdays=frozenset({5, 6}), contact_ids=(CLEO,)
    )
    shifts = calendar.shifts(
        make_plan(weekend, make_layer()), paris(2026, 1, 8, 9), paris(2026, 1, 12, 9)
    )
    assert [(one.start, one.contact_id) for one in shifts] == [
        (paris(2026, 1, 8, 9), ANA),
        (paris(2026, 1, 10), CLEO),
        (paris(2026, 1, 12), ANA),
    ]


def test_the_latest_override_wins() -> None:
    early = Cover(1, BO, paris(2026, 1, 6, 12), paris(2026, 1, 6, 18))
    late = Cover(2, CLEO, paris(2026, 1, 6, 14), paris(2026, 1, 6, 16))
    plan = make_plan(make_layer(), covers=(late, early))
    shifts = calendar.shifts(plan, paris(2026, 1, 6), paris(2026, 1, 7))
    assert [one.contact_id for one in shifts] == [ANA, BO, CLEO, BO, ANA]
    assert shifts[2].why.kind is WhyKind.OVERRIDE


def test_absence_hands_the_turn_to_the_next_who_is_there() -> None:
    start, end = paris(2026, 1, 6), paris(2026, 1, 7)
    plan = make_plan(
        make_layer(contact_ids=(ANA, BO, CLEO)),
        aways=(Away(ANA, start, end), Away(BO, start, paris(2026, 1, 6, 12))),
    )
    shifts = calendar.shifts(plan, paris(2026, 1, 5, 9), paris(2026, 1, 12, 9))
    assert [one.contact_id for one in shifts] == [ANA, CLEO, BO, ANA]
    assert shifts[1].why.kind is WhyKind.ABSENCE
    assert shifts[1].why.instead_of == ANA


def test_nobody_left_is_a_gap_even_under_an_override() -> None:
    start, end = paris(2026, 1, 6), paris(2026, 1, 7)
    plan = make_plan(
        make_layer(),
        covers=(Cover(1, ANA, start, end),),
        aways=(Away(ANA, start, end), Away(BO, start, end)),
    )
    shift = calendar.on_call_at(plan, start)
    assert (shift.start, shift.end, shift.contact_id) == (start, end, None)


def test_turns_of_one_person_stay_apart_until_joined() -> None:
    plan = make_plan(make_layer(contact_ids=(ANA,)))
    shifts = calendar.shifts(plan, paris(2026, 1, 5, 9), paris(2026, 1, 26, 9))
    assert len(shifts) == 3
    assert len(calendar.joined(shifts)) == 1


def test_schedule_without_people_is_one_gap() -> None:
    shift = calendar.on_call_at(make_plan(), paris(2026, 1, 5))
    assert shift.contact_id is None
    assert calendar.next_shift(make_plan(), paris(2026, 1, 5)) is None
