from __future__ import annotations

import itertools
import threading
from datetime import timedelta

import pytest
from django.db import connection

from monitors import scheduling, watching
from monitors.models import Monitor, MonitorState, ProbeSlot
from tests.factories import make_monitor, make_service


def make_monitors(count, **values):
    service = values.pop("service", None) or make_service()
    return [make_monitor(service=service, **values) for _ in range(count)]


def due_times(now, *, horizon_s=2.0):
    claims = scheduling.claim_due(now=now, horizon_s=horizon_s, limit=1000)
    return {claim.monitor_id: claim.slot for claim in claims}


def walk(now, *, seconds):
    """Tick once a second; return the slots claimed of each monitor."""
    slots: dict[int, list[float]] = {}
    for second in range(seconds):
        for pk, slot in due_times(now + timedelta(seconds=second)).items():
            slots.setdefault(pk, []).append(slot)
    return slots


@pytest.mark.django_db
def test_a_new_monitor_is_asked_within_ten_seconds(now):
    make_monitors(20, interval_s=3600)
    watching.admit_new(now=now)

    slots = due_times(now, horizon_s=10.1)

    assert len(slots) == 20
    assert all(
        now.timestamp() <= slot <= now.timestamp() + 10 for slot in slots.values()
    )


@pytest.mark.django_db
def test_slots_stay_on_a_fixed_grid(now):
    (monitor,) = make_monitors(1, interval_s=60)
    watching.admit_new(now=now)

    slots = walk(now, seconds=400)[monitor.pk]

    on_grid = slots[1:]
    gaps = {round(b - a, 3) for a, b in itertools.pairwise(on_grid)}
    assert gaps == {60.0}
    assert len(on_grid) >= 5


@pytest.mark.django_db
def test_slots_of_many_monitors_spread_over_the_interval(now):
    make_monitors(60, interval_s=60)
    watching.admit_new(now=now)
    walk(now, seconds=70)

    slots = walk(now + timedelta(seconds=70), seconds=60)

    seconds = [int(times[0]) % 60 for times in slots.values()]
    busiest = max(seconds.count(second) for second in set(seconds))
    assert busiest <= 4


@pytest.mark.django_db
def test_missed_slots_are_skipped_and_never_replayed(now):
    monitors = make_monitors(10, interval_s=20)
    watching.admit_new(now=now)
    walk(now, seconds=40)
    later = now + timedelta(hours=1)

    slots = walk(later, seconds=20)

    assert set(slots) == {monitor.pk for monitor in monitors}
    assert all(times[0] >= later.timestamp() for times in slots.values())
    assert all(len(times) <= 2 for times in slots.values())


@pytest.mark.django_db
def test_a_daily_monitor_is_asked_within_a_minute_after_a_standstill(now):
    make_monitors(10, interval_s=86_400)
    watching.admit_new(now=now)
    walk(now, seconds=20)
    later = now + timedelta(days=3)

    slots = walk(later, seconds=62)

    assert len(slots) == 10


@pytest.mark.django_db
def test_a_switched_off_monitor_is_not_claimed(now):
    make_monitors(1, is_enabled=False)
    watching.admit_new(now=now)

    assert due_times(now + timedelta(minutes=5)) == {}


@pytest.mark.django_db
def test_an_earlier_question_comes_before_the_next_slot(now):
    (monitor,) = make_monitors(1, interval_s=3600)
    watching.admit_new(now=now)
    due_times(now, horizon_s=11)
    soon = now + timedelta(seconds=20)

    scheduling.ask_at(monitor_id=monitor.pk, at=soon)

    assert due_times(soon) == {monitor.pk: soon.timestamp()}


@pytest.mark.django_db
def test_a_claim_without_a_result_is_due_again_after_its_lease(now):
    (monitor,) = make_monitors(1, interval_s=3600)
    watching.admit_new(now=now)
    due_times(now, horizon_s=11)
    late = now + timedelta(seconds=60)

    assert scheduling.free_lost_slots(now=now + timedelta(seconds=30)) == 0
    assert scheduling.free_lost_slots(now=late) == 1
    assert monitor.pk in due_times(late)


@pytest.mark.django_db
def test_a_claim_with_a_result_is_not_due_again(now):
    make_monitors(1, interval_s=3600)
    watching.admit_new(now=now)
    due_times(now, horizon_s=11)
    MonitorState.objects.update(last_result_at=now + timedelta(seconds=11))

    assert scheduling.free_lost_slots(now=now + timedelta(minutes=5)) == 0


@pytest.mark.django_db(transaction=True)
def test_racing_claimers_never_share_a_slot(now):
    make_monitors(200, interval_s=60)
    watching.admit_new(now=now)
    ProbeSlot.objects.update(next_slot_at=now)
    barrier = threading.Barrier(4)
    claimed: list[int] = []

    def claim():
        barrier.wait()
        try:
            for _ in range(10):
                claims = scheduling.claim_due(now=now, horizon_s=2, limit=30)
                claimed.extend(claim.monitor_id for claim in claims)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed) == sorted(Monitor.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_a_tick_costs_one_statement(now, django_assert_num_queries):
    make_monitors(30)
    watching.admit_new(now=now)

    with django_assert_num_queries(1):
        scheduling.claim_due(now=now, horizon_s=12, limit=1000)
