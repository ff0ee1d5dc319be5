"""How long to wait before the next attempt."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.backoff import parse_retry_after, retry_delay_s


@pytest.mark.parametrize(
    ("attempt_count", "expected_s"),
    [(1, 2), (2, 4), (3, 8), (6, 64), (7, 120), (99, 120)],
)
def test_the_longest_delay_of_a_page_doubles_up_to_two_minutes(
    attempt_count, expected_s
):
    delay_s = retry_delay_s(attempt_count=attempt_count, is_paging=True, jitter=1.0)

    assert delay_s == expected_s


@given(
    attempt_count=st.integers(1, 5000),
    jitter=st.floats(0, 1),
    asked=st.none() | st.floats(0, 1e9),
)
def test_a_page_never_waits_less_than_a_second_or_longer_than_its_bound(
    attempt_count, jitter, asked
):
    delay_s = retry_delay_s(
        attempt_count=attempt_count, is_paging=True, jitter=jitter, retry_after_s=asked
    )

    assert 1 <= delay_s <= 900


def test_the_receivers_wish_is_honored_but_not_for_ever():
    def delay_s(asked_s: float, *, is_paging: bool) -> float:
        return retry_delay_s(
            attempt_count=1, is_paging=is_paging, jitter=0.5, retry_after_s=asked_s
        )

    assert delay_s(77, is_paging=True) == 77
    assert delay_s(86_400, is_paging=True) == 900
    assert delay_s(86_400, is_paging=False) == 3600


def test_retry_after_is_read_as_seconds_and_as_a_date(now):
    in_two_minutes = format_datetime(now + timedelta(minutes=2), usegmt=True)
    long_ago = format_datetime(now - timedelta(days=2), usegmt=True)

    assert parse_retry_after("120", now=now) == 120
    assert parse_retry_after(in_two_minutes, now=now) == 120
    assert parse_retry_after(long_ago, now=now) == 0


@pytest.mark.parametrize(
    "value", [None, "", "soon", "-5", "1.5", "Mon, 99 Foo 2026", "٣", "\x00"]
)
def test_a_retry_after_that_makes_no_sense_is_ignored(value, now):
    assert parse_retry_after(value, now=now) is None


def test_a_huge_retry_after_costs_nothing(now):
    assert parse_retry_after("9" * 100_000, now=now) == 999_999_999
