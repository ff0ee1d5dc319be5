"""Worse than before, or not, or nobody can tell."""

from __future__ import annotations

from datetime import timedelta

import pytest

from monitors.queries.before_after import Compared, Side
from telemetry.comparing import compare, is_worse


def one(before, after, name="API"):
    return Compared(1, name, Side(*before), Side(*after))


def judge(*monitors, now, ahead_s=0):
    return compare(
        monitors=monitors, after_end=now + timedelta(seconds=ahead_s), now=now
    )


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((30, 0, 300.0), (30, 0, 310.0), "up"),
        # One failure alone is no trend, and few more of many are none either.
        ((30, 0, 300.0), (30, 1, 300.0), "up"),
        ((1000, 0, 300.0), (1000, 20, 300.0), "up"),
        ((30, 0, 300.0), (30, 2, 300.0), "down"),
        ((30, 0, 300.0), (30, 30, None), "down"),
        # As bad as before is not worse.
        ((30, 15, 300.0), (30, 15, 300.0), "up"),
        ((30, 0, 300.0), (30, 0, 450.0), "degraded"),
        ((30, 0, 300.0), (30, 0, 449.0), "up"),
        # Twice as long, and nobody notices.
        ((30, 0, 40.0), (30, 0, 80.0), "up"),
        ((30, 0, 0.2), (30, 0, 200.0), "degraded"),
        ((4, 0, 300.0), (30, 30, None), "unknown"),
        ((30, 0, 300.0), (4, 4, None), "unknown"),
        ((30, 30, None), (30, 0, 300.0), "up"),
    ],
)
def test_verdict_follows_from_both_sides(before, after, verdict, now):
    monitor = one(before, after)

    found = judge(monitor, now=now)

    assert found.verdict == verdict
    assert is_worse(monitor) is (verdict in ("down", "degraded"))


def test_the_worst_monitor_is_named_with_both_figures(now):
    found = judge(
        one((30, 0, 300.0), (30, 0, 310.0), "Fine"),
        one((30, 0, 300.0), (30, 0, 900.0), "Slow"),
        one((20, 0, 300.0), (20, 5, 300.0), "Half"),
        one((20, 0, 300.0), (20, 20, None), "Gone"),
        now=now,
    )

    said = found.text.replace("\u00a0", " ").replace("\u202f", " ")
    assert said == "Gone: 100 % of its checks fail, 0 % before"
    slow = judge(one((30, 0, 300.0), (30, 0, 900.0), "Slow"), now=now)
    assert "Slow: p95 900" in slow.text.replace("\u00a0", " ")


def test_nobody_can_tell_says_why(now):
    seldom = one((30, 0, 300.0), (2, 0, 300.0))

    assert judge(now=now).text == "No checks from that time."
    assert judge(seldom, now=now, ahead_s=60).text == "Too early to tell."
    assert judge(seldom, now=now).text == "Too few checks to tell."
