"""When somebody is paged again: pure, so tables and properties."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents import escalation
from t4g_portal.lib.priority import Priority

NOON = datetime.fromisoformat("2026-03-02T12:00:00+00:00")


def make_policy(**values: Any) -> dict[str, Any]:
    return {**escalation.policy_from(rule=escalation.GUIDE_RULES["p0"]), **values}


def next_of(**values: Any) -> datetime | None:
    settings: dict[str, Any] = {
        "policy": make_policy(),
        "status": "triggered",
        "snoozed_until": None,
        "paged_at": NOON,
        "now": NOON,
    }
    return escalation.next_escalation(**{**settings, **values})


def test_guide_has_a_rule_for_each_priority():
    assert sorted(escalation.GUIDE_RULES) == sorted(Priority.values)


def test_policy_reads_back_as_the_rule_it_was_made_from():
    rule = escalation.Rule("p1", 900, 60, True, False, (3, 7))

    assert escalation.rule_of(policy=escalation.policy_from(rule=rule)) == rule


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, timedelta(minutes=5)),
        # A page that is late moves the next one, missed ones are skipped.
        ({"now": NOON + timedelta(minutes=4)}, timedelta(minutes=5)),
        ({"now": NOON + timedelta(minutes=5)}, timedelta(minutes=10)),
        ({"now": NOON + timedelta(minutes=61)}, timedelta(minutes=65)),
        ({"policy": make_policy(repeat_s=0)}, None),
        ({"policy": make_policy(is_digest=True)}, None),
        ({"status": "acknowledged"}, None),
        ({"status": "resolved"}, None),
        ({"snoozed_until": NOON + timedelta(hours=2)}, timedelta(hours=2)),
        (
            {"snoozed_until": NOON + timedelta(hours=2), "status": "acknowledged"},
            timedelta(hours=2),
        ),
        ({"snoozed_until": NOON}, timedelta(minutes=5)),
    ],
)
def test_next_escalation_follows_policy_and_state(values, expected):
    assert next_of(**values) == (NOON + expected if expected else None)


@given(
    repeat_s=st.integers(60, 86_400),
    waited_s=st.integers(0, 10_000_000),
)
def test_next_page_lies_ahead_and_at_most_one_repeat_away(repeat_s, waited_s):
    now = NOON + timedelta(seconds=waited_s)

    found = next_of(policy=make_policy(repeat_s=repeat_s), now=now)

    assert found is not None
    assert now < found <= now + timedelta(seconds=repeat_s)
    assert (found - NOON) % timedelta(seconds=repeat_s) == timedelta()


def test_clock_that_went_back_still_gives_a_page_ahead():
    now = NOON - timedelta(minutes=30)

    assert next_of(now=now) == NOON + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("page_count", "minutes"), [(0, 5), (1, 10), (4, 80), (5, 80), (10_000, 80)]
)
def test_untold_tries_become_rarer_up_to_a_bound(page_count, minutes):
    found = escalation.next_untold_try(page_count=page_count, now=NOON)

    assert found == NOON + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("minutes", "is_person", "expected"),
    [(0, False, True), (9.99, False, True), (10, False, False), (1, True, False)],
)
def test_only_an_automatic_end_within_the_window_is_a_flap(
    minutes, is_person, expected
):
    found = escalation.is_flap(
        resolved_at=NOON,
        is_resolved_by_person=is_person,
        now=NOON + timedelta(minutes=minutes),
    )

    assert found is expected
