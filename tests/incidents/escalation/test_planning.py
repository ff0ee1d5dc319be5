"""When which step runs: pure, so tables and properties."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents.escalation import (
    GUIDE,
    Hours,
    Policy,
    Step,
    is_flap,
    planning,
    read,
    snapshot,
)
from incidents.escalation.hours import is_open, opening
from incidents.escalation.planning import Progress
from t4g_portal.lib.priority import Priority

# A Monday.
NOON = datetime.fromisoformat("2026-03-02T12:00:00+00:00")
MINUTE = timedelta(minutes=1)
OFFICE = Hours(
    time_zone="Europe/Paris",
    weekdays=frozenset(range(5)),
    only_from=time(9),
    only_until=time(18),
)
NIGHT = Hours(time_zone="Europe/Paris", only_from=time(22), only_until=time(6))


def climb_of(*steps: Step, **values: Any) -> Policy:
    return Policy(priority="p0", response_s=300, steps=steps, **values)


def runs(policy: Policy, *, begin: datetime = NOON, until: datetime) -> list[Any]:
    """Let an engine that is never late climb; return (minutes, steps) of each page."""
    progress, now, found = Progress(began_at=begin), begin, []
    while now <= until:
        steps = planning.due(policy=policy, progress=progress, now=now)
        if steps:
            found.append(((now - begin) / MINUTE, steps))
        progress = planning.after(
            policy=policy, progress=progress, steps=steps, now=now
        )
        at = planning.next_at(policy=policy, progress=progress)
        if at is None:
            break
        assert at > now
        now = at
    return found


def test_guide_has_a_policy_for_each_priority():
    assert sorted(GUIDE) == sorted(Priority.values)


@pytest.mark.parametrize(
    "policy",
    [
        *GUIDE.values(),
        climb_of(
            Step(channel_ids=(3, 7), repeat_s=60, repeat_limit=2, has_mention=True),
            Step(after_s=600, schedule_ids=(1,), hours=OFFICE, team_ids=(4,)),
            name="Urgent",
            ack_expires_s=1800,
            is_fixed=True,
        ),
    ],
)
def test_snapshot_reads_back_as_the_policy_it_was_made_from(policy):
    assert read(snapshot(policy)) == policy


def test_snapshot_from_before_there_were_steps_still_reads():
    stored = {
        "priority": "p0",
        "response_s": 300,
        "repeat_s": 120,
        "has_mention": True,
        "is_digest": False,
        "channel_ids": [3, 7],
    }

    assert read(stored) == climb_of(
        Step(repeat_s=120, has_mention=True, channel_ids=(3, 7))
    )


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([Step()], [(0, (0,))]),
        ([Step(repeat_s=300)], [(0, (0,)), (5, (0,)), (10, (0,)), (15, (0,))]),
        ([Step(repeat_s=300, repeat_limit=2)], [(0, (0,)), (5, (0,)), (10, (0,))]),
        ([Step(after_s=240)], [(4, (0,))]),
        (
            [Step(repeat_s=300), Step(after_s=600)],
            [(0, (0,)), (5, (0,)), (10, (0, 1)), (15, (0,))],
        ),
        (
            [Step(), Step(after_s=600, repeat_s=180)],
            [(0, (0,)), (10, (1,)), (13, (1,))],
        ),
    ],
)
def test_steps_run_at_their_time_and_repeat(steps, expected):
    assert runs(climb_of(*steps), until=NOON + 15 * MINUTE) == expected


def test_digest_never_runs_a_step():
    policy = climb_of(Step(repeat_s=60), is_digest=True)

    assert runs(policy, until=NOON + 60 * MINUTE) == []


@given(
    repeat_s=st.integers(60, 86_400),
    after_s=st.integers(0, 86_400),
    waited_s=st.integers(0, 10_000_000),
)
def test_engine_that_was_away_makes_up_with_one_run_and_keeps_the_grid(
    repeat_s, after_s, waited_s
):
    policy = climb_of(Step(after_s=after_s, repeat_s=repeat_s))
    begin, now = Progress(began_at=NOON), NOON + timedelta(seconds=waited_s)

    steps = planning.due(policy=policy, progress=begin, now=now)
    done = planning.after(policy=policy, progress=begin, steps=steps, now=now)
    found = planning.next_at(policy=policy, progress=done)

    assert steps == ((0,) if waited_s >= after_s else ())
    assert found is not None
    assert now < found
    if steps:
        half = timedelta(seconds=repeat_s) / 2
        assert now + half < found <= now + 3 * half
    assert (found - NOON - timedelta(seconds=after_s)) % timedelta(
        seconds=repeat_s
    ) == timedelta()


@pytest.mark.parametrize(
    ("hours", "begin", "expected"),
    [
        # A Monday at noon in winter: Paris is an hour ahead.
        (OFFICE, "2026-03-02T12:00+00:00", "2026-03-02T12:00+00:00"),
        (OFFICE, "2026-03-02T03:00+00:00", "2026-03-02T08:00+00:00"),
        (OFFICE, "2026-03-02T17:00+00:00", "2026-03-03T08:00+00:00"),
        # Friday evening waits for Monday, on the other side of the clock change.
        (OFFICE, "2026-03-27T19:00+00:00", "2026-03-30T07:00+00:00"),
        (NIGHT, "2026-03-02T12:00+00:00", "2026-03-02T21:00+00:00"),
        (NIGHT, "2026-03-02T04:59+00:00", "2026-03-02T04:59+00:00"),
        (NIGHT, "2026-03-02T05:00+00:00", "2026-03-02T21:00+00:00"),
    ],
)
def test_step_outside_of_its_hours_waits_until_they_begin(hours, begin, expected):
    began_at = datetime.fromisoformat(begin)

    found = planning.next_at(
        policy=climb_of(Step(hours=hours)), progress=Progress(began_at=began_at)
    )

    assert found == datetime.fromisoformat(expected)


def test_repeats_count_from_the_first_run_inside_the_hours():
    policy = climb_of(Step(hours=OFFICE, repeat_s=300, repeat_limit=2))
    begin = datetime.fromisoformat("2026-03-02T03:00:00+00:00")

    found = runs(policy, begin=begin, until=begin + timedelta(days=2))

    assert found == [(300, (0,)), (305, (0,)), (310, (0,))]


@given(
    weekdays=st.frozensets(st.integers(0, 6)),
    begin_h=st.integers(0, 23),
    end_h=st.integers(0, 23),
    minute=st.integers(0, 525_600),
)
def test_opening_is_open_and_nothing_before_it_is(weekdays, begin_h, end_h, minute):
    hours = Hours("Europe/Paris", weekdays, time(begin_h), time(end_h))
    at = NOON + timedelta(minutes=minute)

    found = opening(hours, at)

    assert found >= at
    assert is_open(hours, found)
    if found > at:
        assert not is_open(hours, at)
        assert not is_open(hours, found - timedelta(seconds=1))


def test_leap_runs_the_next_step_now_and_keeps_the_distance_of_the_later_ones():
    policy = climb_of(
        Step(repeat_s=300), Step(after_s=600), Step(after_s=1500, repeat_s=60)
    )
    progress = Progress(began_at=NOON, runs=(1, 0, 0))

    moved, steps = planning.leap(
        policy=policy, progress=progress, now=NOON + 2 * MINUTE
    )

    assert steps == (1,)
    # What the first step would have repeated meanwhile is not made up for.
    assert moved.runs == (3, 1, 0)
    assert planning.next_at(policy=policy, progress=moved) == NOON + 7 * MINUTE


def test_leap_after_a_long_hold_runs_one_step_and_not_the_whole_ladder():
    policy = climb_of(
        Step(repeat_s=300), *(Step(after_s=60 * minutes) for minutes in (10, 30, 60))
    )
    now = NOON + 90 * MINUTE

    moved, steps = planning.leap(
        policy=policy, progress=Progress(began_at=NOON, runs=(19,)), now=now
    )

    assert steps == (1,)
    assert planning.due(policy=policy, progress=moved, now=now) == ()
    # The repeats of the first go on, and the next step keeps its distance.
    assert planning.next_at(policy=policy, progress=moved) == now + 5 * MINUTE
    later = now + 20 * MINUTE
    assert 2 in planning.due(policy=policy, progress=moved, now=later)


def test_leap_past_the_last_step_runs_it_again():
    policy = climb_of(Step(), Step(after_s=600))
    progress = Progress(began_at=NOON, runs=(1, 1))

    assert planning.leap(policy=policy, progress=progress, now=NOON) == (
        progress,
        (1,),
    )


def test_less_urgent_policy_does_not_tell_again_but_its_late_steps_come_at_once():
    policy = climb_of(Step(repeat_s=600), Step(after_s=300), Step(after_s=1200))
    now = NOON + 8 * MINUTE

    progress = planning.skipping_first(policy=policy, began_at=NOON, now=now)

    assert planning.due(policy=policy, progress=progress, now=now) == (1,)


@pytest.mark.parametrize(
    ("page_count", "minutes"), [(0, 5), (1, 10), (4, 80), (5, 80), (10_000, 80)]
)
def test_untold_tries_become_rarer_up_to_a_bound(page_count, minutes):
    found = planning.next_untold_try(page_count=page_count, now=NOON)

    assert found == NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("minutes", "is_person", "expected"),
    [(0, False, True), (9.99, False, True), (10, False, False), (1, True, False)],
)
def test_only_an_automatic_end_within_the_window_is_a_flap(
    minutes, is_person, expected
):
    found = is_flap(
        resolved_at=NOON,
        is_resolved_by_person=is_person,
        now=NOON + timedelta(minutes=minutes),
    )

    assert found is expected
