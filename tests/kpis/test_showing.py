"""How a KPI is shown: numbers, comparisons, states and sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from kpis import buckets
from kpis.buckets import DAY, MONTH, Shape
from kpis.showing import comparing, figures, sentences, standing
from kpis.showing.card import Card, Definition, Point, compose
from kpis.showing.comparing import NoComparison, Tone
from kpis.showing.standing import Collected, Freshness, Standing

HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 27, 8, 14, tzinfo=UTC)
USERS = Definition(
    slug="active-users",
    name="Active users",
    unit="users",
    decimals=0,
    direction="higher",
    shape=Shape(DAY, 7, "Europe/Paris"),
)
READ = Collected(
    is_on=True,
    is_manual=False,
    has_value=False,
    last_ok_at=NOW - timedelta(minutes=4),
    missing_since=None,
    failure_count=0,
    failing_since=None,
    reason="",
    message="",
    stale_after_s=2 * 3600,
    overdue_after_s=24 * 3600,
)


def points_of(
    *values: float | None, of: Definition = USERS, now: datetime = NOW, **rest: Any
) -> list[Point]:
    """The last complete periods, oldest given first; None is a gap."""
    bucket = buckets.last_complete(of.shape, now, timedelta(seconds=of.lateness_s))
    found = []
    for value in reversed(values):
        if value is not None:
            found.append(
                Point(
                    start=bucket.start,
                    end=bucket.end,
                    value=Decimal(str(value)),
                    is_complete=True,
                    version_id=rest.get("version_id", 1),
                    computed_at=bucket.end + HOUR,
                )
            )
        bucket = buckets.previous(of.shape, bucket)
    return found


def card_of(
    points: list[Point],
    *,
    of: Definition = USERS,
    target: float | None = None,
    collected: Collected = READ,
    alarm: str = "",
    now: datetime = NOW,
) -> Card:
    targets = [] if target is None else [(date(2020, 1, 1), Decimal(str(target)))]
    return compose(
        of=of,
        points=points,
        targets=targets,
        collected=collected,
        alarm=alarm,
        now=now,
    )


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "said"),
    [
        ("1234.00000000", "users", 0, "1,234\u00a0users"),
        ("1234567", "", 0, "1,234,567"),
        ("99.95", "%", 2, "99.95\u00a0%"),
        ("-3.5", "€", 1, "\u22123.5\u00a0€"),
        ("-0.2", "", 0, "0"),
        ("200", "s", 0, "3\u00a0min\u00a020\u00a0s"),
        ("12", "s", 0, "12\u00a0s"),
    ],
)
def test_values_are_written_with_unit_and_digits(
    value: str, unit: str, decimals: int, said: str
):
    assert str(figures.figure(Decimal(value), unit=unit, decimals=decimals)) == said


def test_values_are_written_in_the_readers_language():
    with translation.override("fr"):
        said = figures.number(Decimal("1234.5"), 1)

    assert said.replace("\u202f", " ").replace("\u00a0", " ") == "1 234,5"


def test_change_from_zero_is_no_share_of_anything():
    change = comparing.change(value=Decimal(5), before=Decimal(0), direction="higher")

    assert change.ratio is None
    assert change.difference == 5
    assert change.why_not == NoComparison.ZERO


def test_missing_period_before_is_not_a_zero():
    card = card_of(points_of(None, 50))

    assert card.change.difference is None
    assert sentences.size_of_change(card.of, card.change) == "n/a"
    assert "more than" not in sentences.sentence(card)


@pytest.mark.parametrize(
    ("direction", "tone"),
    [("higher", Tone.GOOD), ("lower", Tone.BAD), ("neutral", Tone.EVEN)],
)
def test_direction_decides_what_is_good_news(direction: str, tone: Tone):
    change = comparing.change(value=Decimal(6), before=Decimal(5), direction=direction)

    assert change.tone == tone


def test_other_way_of_computing_is_not_compared():
    new, old = points_of(100, 300)
    card = card_of([replace(new, version_id=2), old])

    assert card.change.why_not == NoComparison.RECOMPUTED


def test_morning_shows_yesterday_and_not_a_day_that_has_begun():
    running = Point(
        start=buckets.at(USERS.shape, NOW).start,
        end=buckets.at(USERS.shape, NOW).end,
        value=Decimal(40),
        is_complete=False,
        version_id=1,
        computed_at=NOW,
        before_value=Decimal(32),
    )

    card = card_of([running, *points_of(100, 104)])

    assert str(card.figure) == "104\u00a0users"
    assert sentences.size_of_change(card.of, card.change) == "+4.0\u00a0%"
    assert sentences.running(card) == (
        "Today so far: 40\u00a0users, +25\u00a0% against the day before by the same time"
    )


def test_only_period_is_compared_with_the_same_time_before():
    bucket = buckets.at(USERS.shape, NOW)
    running = Point(bucket.start, bucket.end, Decimal(40), False, 1, NOW, Decimal(50))

    card = card_of([running], target=100)

    assert card.is_so_far
    assert card.change.ratio == pytest.approx(-0.2)
    # A part of a day has not missed its target.
    assert card.standing == Standing.FRESH


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        # The day of 23 hours, and the one of 25.
        (datetime(2026, 3, 30, 6, tzinfo=UTC), 23),
        (datetime(2026, 10, 26, 6, tzinfo=UTC), 25),
    ],
)
def test_days_of_a_clock_change_are_compared_with_their_neighbors(
    now: datetime, hours: int
):
    of = replace(USERS, shape=Shape(DAY, 1, "Europe/Paris"))
    points = points_of(*range(100, 140), of=of, now=now)

    card = card_of(points, of=of, now=now, collected=replace(READ, last_ok_at=now))

    assert card.point is not None
    assert card.point.end - card.point.start == hours * HOUR
    assert card.change.difference == 1
    assert list(card.spark) == [float(one) for one in range(110, 140)]
    assert card.freshness == Freshness.FRESH


def test_gap_stays_a_gap_in_the_small_picture():
    card = card_of(points_of(1, None, 3))

    assert list(card.spark[-3:]) == [1.0, None, 3.0]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, Freshness.FRESH),
        ({"is_on": False}, Freshness.OFF),
        ({"last_ok_at": NOW - 3 * HOUR}, Freshness.STALE),
        ({"last_ok_at": NOW - 30 * HOUR}, Freshness.OVERDUE),
        ({"failure_count": 1, "reason": "timeout"}, Freshness.FAILING),
        ({"reason": "null"}, Freshness.NO_VALUE),
    ],
)
def test_card_says_how_far_it_can_be_believed(
    changed: dict[str, Any], expected: Freshness
):
    card = card_of(points_of(99, 100), collected=replace(READ, **changed))

    assert card.freshness == expected
    assert str(card.figure) == "100\u00a0users"
    assert card.is_believed == (expected in (Freshness.FRESH, Freshness.STALE))


def test_period_that_stays_away_makes_the_last_one_old():
    late = points_of(99, 100, now=NOW - timedelta(days=1))
    # Yesterday ended at midnight in Paris, nine hours ago.
    midnight = datetime(2026, 11, 26, 23, tzinfo=UTC)

    unread = card_of(late, collected=replace(READ, last_ok_at=midnight - HOUR))
    read_since = card_of(late)

    assert unread.collected.missing_since == midnight
    assert unread.freshness == Freshness.STALE
    # It was asked again and has nothing for yesterday: no fault, and no news either.
    assert read_since.freshness == Freshness.NO_VALUE
    assert not read_since.is_believed
    assert not read_since.needs_a_look


def test_card_is_fresh_until_the_new_period_is_read():
    just_after_midnight = datetime(2026, 11, 26, 23, 10, tzinfo=UTC)
    known = points_of(99, 100, now=just_after_midnight - HOUR)

    card = card_of(
        known,
        now=just_after_midnight,
        collected=replace(READ, last_ok_at=just_after_midnight - HOUR / 2),
    )

    assert card.freshness == Freshness.FRESH


def test_entered_value_is_fresh_until_the_next_is_due():
    of = replace(USERS, shape=Shape(MONTH, 1, "Europe/Paris"), lateness_s=5 * 86_400)
    by_hand = replace(READ, is_manual=True, last_ok_at=None)
    day = timedelta(days=1)

    fresh = card_of(points_of(8, 9, of=of), of=of, collected=by_hand)
    late = card_of(
        points_of(8, 9, of=of),
        of=of,
        collected=by_hand,
        now=datetime(2026, 12, 6, 12, tzinfo=UTC),
    )

    assert fresh.freshness == Freshness.FRESH
    assert late.freshness == Freshness.STALE
    assert (
        late.collected.missing_since == datetime(2026, 11, 30, 23, tzinfo=UTC) + 5 * day
    )


def test_nothing_known_is_no_zero():
    card = card_of([], collected=replace(READ, last_ok_at=None))

    assert card.figure is None
    assert card.standing == Standing.NEVER
    assert sentences.sentence(card) == "Waiting for the first value"


def test_sentence_says_value_change_and_target():
    card = card_of(points_of(1284, 1234), target=1340)

    assert sentences.sentence(card) == (
        "7 days to Thu 26 Nov: 1,234\u00a0users, 3.9\u00a0% less than the day before, "
        "7.9\u00a0% short of the target of 1,340\u00a0users"
    )
    assert card.standing == Standing.OFF_TARGET
    assert card.word == "Below target"


def test_lower_is_better_stays_within_a_target():
    of = replace(USERS, unit="s", direction="lower", name="Time to acknowledge")

    within = card_of(points_of(300, 280, of=of), of=of, target=290)
    above = card_of(points_of(300, 320, of=of), of=of, target=290)

    assert within.standing == Standing.ON_TARGET
    assert above.word == "Above target"
    assert sentences.distance(of, above.progress) == (  # type: ignore[arg-type]
        "10\u00a0% above 4\u00a0min\u00a050\u00a0s"
    )


def test_share_is_compared_in_points():
    of = replace(USERS, unit="%", decimals=2)

    card = card_of(points_of(99.9, 99.7, of=of), of=of, target=99.95)

    assert sentences.size_of_change(of, card.change) == "\u22120.20 points"
    assert "0.25 points short of the target of 99.95" in sentences.sentence(card)


@pytest.mark.parametrize(
    ("freshness", "alarm", "is_reached", "expected"),
    [
        (Freshness.FRESH, "critical", True, Standing.CRITICAL),
        (Freshness.FAILING, "critical", True, Standing.CRITICAL),
        (Freshness.FAILING, "warning", False, Standing.FAILING),
        (Freshness.STALE, "warning", False, Standing.WARNING),
        (Freshness.STALE, "", False, Standing.STALE),
        (Freshness.FRESH, "", False, Standing.OFF_TARGET),
        (Freshness.FRESH, "", True, Standing.ON_TARGET),
        (Freshness.FRESH, "", None, Standing.FRESH),
        (Freshness.OFF, "", None, Standing.OFF),
    ],
)
def test_what_cannot_be_believed_is_said_before_a_target(
    freshness: Freshness, alarm: str, is_reached: bool | None, expected: Standing
):
    found = standing.standing(freshness=freshness, alarm=alarm, is_reached=is_reached)

    assert found == expected


def test_every_standing_has_a_word_and_a_look():
    for one in Standing:
        assert standing.word(one, is_higher_better=True)
        assert standing.look(one)


def test_doubt_names_the_reason_and_since_when():
    failing = replace(
        READ,
        failure_count=3,
        failing_since=NOW - HOUR,
        reason="timeout",
        message="No answer within 10 s.",
    )

    card = card_of(points_of(99, 100), collected=failing)

    assert sentences.doubt(card) == "Can't be read since 08:14: No answer within 10 s."


def test_unusual_change_moves_a_card_and_a_usual_one_does_not():
    calm = [100 + (index % 2) for index in range(20)]
    weekly = [100 if index % 7 < 5 else 60 for index in range(29)]

    assert card_of(points_of(*calm, 140)).has_moved
    # A Monday like every Monday.
    assert not card_of(points_of(*weekly)).has_moved
    # Too little is known of what is usual.
    assert not card_of(points_of(100, 140)).has_moved


def test_target_holds_until_a_later_one():
    targets = [(date(2026, 1, 1), Decimal(1)), (date(2026, 11, 1), Decimal(2))]

    found = [
        comparing.target_on(targets, day)
        for day in (date(2025, 12, 31), date(2026, 10, 31), date(2026, 11, 1))
    ]

    assert found == [None, 1, 2]


def test_headline_counts_what_needs_a_look():
    good = card_of(points_of(99, 100), target=90)
    bad = card_of(points_of(99, 100), target=200)

    assert sentences.board_headline([good, bad]) == "1 of 2 KPIs needs a look"
    assert sentences.board_look([good, bad]) == "degraded"
    assert sentences.board_headline([good, good]) == (
        "All 2 KPIs are up to date, and nothing is off target"
    )
