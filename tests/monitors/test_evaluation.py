from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.evaluation import Rules, Standing, Verdict, evaluate, expire
from monitors.probes.base import Outcome

START = datetime(2026, 2, 16, 12, 0, tzinfo=UTC)
RULES = Rules(
    failures_to_down=3,
    successes_to_up=2,
    interval_s=60,
    timeout_s=10,
    retry_interval_s=20,
)
LETTERS = {"+": Outcome.PASSED, "-": Outcome.FAILED, "?": Outcome.ERROR}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def new_standing(**values) -> Standing:
    return Standing(**{"confirmed": "pending", "confirmed_since": START, **values})


def follow(
    story: str, *, standing: Standing | None = None, step_s: float = 20
) -> list[Verdict]:
    """Read a story of results, a letter each `step_s`: + passed, - failed, ? ours."""
    standing = standing or new_standing()
    verdicts = []
    for number, letter in enumerate(story, start=1):
        verdict = evaluate(
            standing=standing,
            at=at(number * step_s),
            outcome=LETTERS[letter],
            rules=RULES,
        )
        standing = verdict.standing
        verdicts.append(verdict)
    return verdicts


@pytest.mark.parametrize(
    ("story", "statuses"),
    [
        pytest.param("+", "u", id="first success is up at once"),
        pytest.param("---", "ppd", id="third failure from the start is down"),
        pytest.param("+---", "uuud", id="third failure in a row is down"),
        pytest.param("+--+--", "uuuuuu", id="a success starts the count again"),
        pytest.param("+---+", "uuudd", id="one success does not end an outage"),
        pytest.param("+---++", "uuuddu", id="second success in a row is up"),
        pytest.param("+---+-++", "uuuddddu", id="a failure starts that count again"),
        pytest.param("+-?-?-", "uuuuud", id="our own errors neither count nor reset"),
        pytest.param("+???", "uuuu", id="our own errors never mean down"),
    ],
)
def test_counts_confirm_a_status(story, statuses):
    words = {"u": "up", "d": "down", "p": "pending"}

    confirmed = [verdict.standing.confirmed for verdict in follow(story)]

    assert confirmed == [words[letter] for letter in statuses]


def test_down_counts_from_the_first_failure():
    verdict = follow("+---")[-1]

    assert verdict.changed_since == at(40)
    assert verdict.standing.confirmed_since == at(40)


def test_up_counts_from_the_first_success():
    verdict = follow("+---++")[-1]

    assert verdict.changed_since == at(100)


@pytest.mark.parametrize(
    ("story", "retry_after_s"),
    [
        ("+", None),
        ("+-", 20),
        ("+---", None),
        ("+---+", 20),
        ("+---++", None),
        ("-", 20),
    ],
)
def test_an_unconfirmed_change_is_asked_again_soon(story, retry_after_s):
    assert follow(story)[-1].retry_after_s == retry_after_s


def test_a_result_that_is_not_newer_changes_nothing():
    standing = follow("+--")[-1].standing

    verdict = evaluate(
        standing=standing, at=at(60), outcome=Outcome.FAILED, rules=RULES
    )

    assert verdict == Verdict(standing=standing)


def test_a_gap_is_unknown_from_the_slot_that_was_missed():
    standing = follow("+")[-1].standing

    verdict = evaluate(
        standing=standing, at=at(1000), outcome=Outcome.PASSED, rules=RULES
    )

    assert verdict.gap_since == at(20 + 60)
    assert verdict.standing.confirmed == "unknown"


def test_one_late_result_is_no_gap():
    standing = follow("+")[-1].standing

    verdict = evaluate(
        standing=standing, at=at(20 + 125), outcome=Outcome.PASSED, rules=RULES
    )

    assert verdict.gap_since is None
    assert verdict.standing.confirmed == "up"


def test_failures_before_a_gap_do_not_count_after_it():
    standing = follow("+--")[-1].standing

    verdict = evaluate(
        standing=standing, at=at(5000), outcome=Outcome.FAILED, rules=RULES
    )

    assert verdict.standing.failure_count == 1
    assert verdict.standing.confirmed == "unknown"


def test_failures_of_a_pending_monitor_do_not_count_after_a_gap():
    standing = follow("--")[-1].standing

    verdict = evaluate(
        standing=standing, at=at(5000), outcome=Outcome.FAILED, rules=RULES
    )

    assert verdict.standing.failure_count == 1
    assert verdict.standing.confirmed == "pending"


def test_a_status_that_nothing_vouches_for_expires():
    standing = follow("+")[-1].standing

    assert expire(standing=standing, rules=RULES, now=at(100)) is None
    verdict = expire(standing=standing, rules=RULES, now=at(200))

    assert verdict is not None
    assert verdict.changed_since == at(80)
    assert verdict.standing.confirmed == "unknown"


def test_errors_of_our_own_do_not_vouch():
    standing = follow("+" + "?" * 20)[-1].standing

    verdict = expire(standing=standing, rules=RULES, now=at(420))

    assert verdict is not None
    assert verdict.changed_since == at(80)


def test_many_changes_are_flapping_and_calm_ends_it():
    wild = follow("+-" * 5)[-1].standing
    calm = follow("+" * 30, standing=wild, step_s=70)[-1].standing

    assert wild.is_flapping
    assert not calm.is_flapping


@given(st.text(alphabet="+-?", max_size=60))
def test_any_story_keeps_time_in_order(story):
    changes = [v.changed_since for v in follow(story) if v.changed_since]

    assert changes == sorted(changes)
    assert len(set(changes)) == len(changes)


@given(st.text(alphabet="+?", max_size=40))
def test_without_a_failed_result_nothing_is_ever_down(story):
    assert all(v.standing.confirmed != "down" for v in follow(story))


@given(st.text(alphabet="+-?", max_size=60))
def test_down_always_follows_three_failures_in_a_row(story):
    for index, verdict in enumerate(follow(story)):
        if verdict.changed_since and verdict.standing.confirmed == "down":
            seen = story[: index + 1].replace("?", "")
            assert seen.endswith("---")
