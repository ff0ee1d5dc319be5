from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from t4g_portal.lib import loops
from t4g_portal.lib.models import LoopCycle


@pytest.fixture(autouse=True)
def forget_cycles():
    loops._written.clear()


def fail(now):
    raise ValueError("no luck")


@pytest.mark.django_db
def test_a_completed_cycle_is_noted():
    assert loops.run_cycle(name="x", bound_s=30, cycle=lambda now: None)

    assert LoopCycle.objects.get().name == "x"
    assert loops.late_loops(expected={"x": 30}, now=timezone.now()) == []


@pytest.mark.django_db
def test_an_error_is_kept_and_does_not_reach_the_caller():
    assert not loops.run_cycle(name="x", bound_s=30, cycle=fail)

    row = LoopCycle.objects.get()
    assert row.last_error == "ValueError: no luck"
    late = loops.late_loops(expected={"x": 30}, now=timezone.now())
    assert [loop.name for loop in late] == ["x"]


@pytest.mark.django_db
def test_a_loop_that_only_fails_grows_late():
    loops.run_cycle(name="x", bound_s=30, cycle=lambda now: None)
    loops.run_cycle(name="x", bound_s=30, cycle=fail)
    later = timezone.now() + timedelta(seconds=31)

    assert [loop.name for loop in loops.late_loops(expected={"x": 30}, now=later)] == [
        "x"
    ]


@pytest.mark.django_db
def test_a_loop_that_never_ran_is_late():
    assert (
        loops.late_loops(expected={"x": 30}, now=timezone.now())[0].completed_at is None
    )


@pytest.mark.django_db
def test_a_cycle_a_second_is_not_a_write_a_second(django_assert_num_queries):
    loops.run_cycle(name="x", bound_s=30, cycle=lambda now: None)

    with django_assert_num_queries(0):
        loops.run_cycle(name="x", bound_s=30, cycle=lambda now: None)


@pytest.mark.django_db
def test_a_cycle_that_still_runs_is_not_started_twice():
    inside = []

    def cycle(now):
        inside.append(loops.run_cycle(name="x", bound_s=30, cycle=lambda now: None))

    loops.run_cycle(name="x", bound_s=30, cycle=cycle)

    assert inside == [False]


@pytest.mark.django_db
def test_a_loop_that_was_late_remembers_when_it_came_back():
    loops.run_cycle(name="x", bound_s=30, cycle=lambda now: None)
    now = timezone.now()
    assert loops.awake_since(name="x", now=now) is None
    LoopCycle.objects.update(completed_at=now - timedelta(seconds=31))
    loops._written.clear()

    assert loops.awake_since(name="x", now=now) == now
    seen: list[datetime] = []
    loops.run_cycle(name="x", bound_s=30, cycle=seen.append)
    loops._written.clear()
    loops.run_cycle(name="x", bound_s=30, cycle=lambda now: None)

    assert loops.awake_since(name="x", now=timezone.now()) == seen[0]
