"""When a KPI is collected next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from kpis import pacing

NOW = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(
    interval_s=st.integers(60, 40 * 86_400),
    key=st.integers(1, 10**9),
    after=st.datetimes(
        datetime(2001, 1, 1),  # noqa: DTZ001 hypothesis adds the zone
        datetime(2100, 1, 1),  # noqa: DTZ001 hypothesis adds the zone
        timezones=st.just(UTC),
    ),
)
def test_slots_stay_on_a_grid_that_is_one_interval_wide(interval_s, key, after):
    slot = pacing.next_slot(interval_s=interval_s, key=key, after=after)
    following = pacing.next_slot(interval_s=interval_s, key=key, after=slot)

    assert after < slot <= after + timedelta(seconds=interval_s)
    assert following - slot == timedelta(seconds=interval_s)


def test_kpis_of_one_interval_are_not_due_together():
    slots = {
        pacing.next_slot(interval_s=3600, key=key, after=NOW) for key in range(1, 51)
    }

    assert len(slots) == 50


def wait_s(failure_count: int, *, interval_s: int = 300, is_temporary: bool = True):
    at = pacing.after_failure(
        interval_s=interval_s,
        key=1,
        failure_count=failure_count,
        is_temporary=is_temporary,
        now=NOW,
    )
    return (at - NOW).total_seconds()


def test_failures_are_waited_for_longer_and_longer():
    assert [wait_s(count) for count in (1, 2, 3, 4)] == [60, 120, 240, 480]
    assert wait_s(100_000) == 3600


def test_what_no_try_mends_waits_for_its_interval():
    slot = pacing.next_slot(interval_s=86_400, key=1, after=NOW)

    assert (
        wait_s(1, interval_s=86_400, is_temporary=False) == (slot - NOW).total_seconds()
    )
    assert wait_s(5, interval_s=60, is_temporary=False) == 960
