"""What a digest says, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from kpis.buckets import Shape, last_complete, previous
from kpis.digest.composing import MOST_LISTED, compose
from kpis.digest.telling import Digest, Responses, Stretch, Trouble
from kpis.digest.timing import Timing, latest
from kpis.showing import card as cards
from kpis.showing import comparing
from kpis.showing.card import Card, Definition, Point
from kpis.showing.standing import Collected
from notifications.message import Message

# 09:00 in Paris, a Friday.
MORNING = datetime(2026, 11, 27, 8, tzinfo=UTC)
DAILY = Timing("daily", time(9))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def reader():
    with translation.override("en"), timezone.override(ZoneInfo("Europe/Paris")):
        yield


def make_card(
    name: str,
    values: list[int],
    *,
    now: datetime = MORNING,
    target: int | None = None,
    alarm: str = "",
    age: timedelta = HOUR,
    **collected,
) -> Card:
    """A card whose last complete days have these values, the oldest first."""
    shape = Shape("day", 1)
    bucket = last_complete(shape, now - (age // DAY) * DAY, timedelta())
    points = []
    for value in reversed(values):
        points.append(
            Point(
                start=bucket.start,
                end=bucket.end,
                value=Decimal(value),
                is_complete=True,
                version_id=1,
                computed_at=now - age,
            )
        )
        bucket = previous(shape, bucket)
    known = {
        "is_on": True,
        "is_manual": False,
        "has_value": False,
        "last_ok_at": now - age if values else None,
        "missing_since": None,
        "failure_count": 0,
        "failing_since": None,
        "reason": "",
        "message": "",
        "stale_after_s": 2 * 3600,
        "overdue_after_s": 48 * 3600,
    }
    return cards.compose(
        of=Definition(
            slug=name.lower(),
            name=name,
            unit="users",
            decimals=0,
            direction="higher",
            shape=shape,
        ),
        points=points,
        targets=[(date(2026, 1, 1), Decimal(target))] if target else [],
        collected=Collected(**{**known, **collected}),
        alarm=alarm,
        now=now,
    )


def make_trouble(title: str, *, ago: timedelta, **values) -> Trouble:
    known = {
        "priority": "p1",
        "service": "Backend",
        "started_at": MORNING - ago,
        "opened_at": MORNING - ago,
        "resolved_at": MORNING - ago + timedelta(minutes=12),
        "holder": "",
    }
    return Trouble(title=title, **{**known, **values})


def make_digest(found: list[Card], **values) -> Digest:
    timing = values.pop("timing", DAILY)
    values.setdefault("stretches", {})
    values.setdefault("troubles", [])
    values.setdefault("responses", Responses())
    return Digest(
        cadence=timing.cadence,
        occasion=latest(timing, MORNING),
        written_at=values.pop("written_at", MORNING),
        cards=found,
        url="https://ops.example/kpis/",
        **values,
    )


def written(found: list[Card], *, is_p3_told: bool = False, **values) -> Message:
    return compose(
        digest=make_digest(found, **values), language="en", is_p3_told=is_p3_told
    )


def lines(message: Message, heading: str) -> list[tuple[str, str]]:
    for section in message.sections:
        if section.heading == heading:
            return [(fact.label, fact.value) for fact in section.facts]
    return []


def test_stale_and_failing_come_first_with_reason_and_last_value():
    fine = make_card("Fine", [100, 110])
    failing = make_card(
        "Failing",
        [7, 8],
        failure_count=3,
        failing_since=MORNING - 2 * HOUR,
        reason="timeout",
        message="No answer within 10 s.",
    )
    stale = make_card("Stale", [5], age=5 * HOUR)

    message = written([fine, stale, failing])

    assert [section.heading for section in message.sections] == [
        "Look at these first",
        "Values",
    ]
    first, second = lines(message, "Look at these first")
    assert first[0] == "⚠ Failing"
    assert "07:00: No answer within 10 s." in first[1]
    assert "Last value: 8\u00a0users, Thu 26 Nov" in first[1]
    assert second[0] == "⚠ Stale"
    assert [label for label, _value in lines(message, "Values")] == ["Fine"]
    assert message.title == "KPIs on Fri 27 Nov 2026: 2 to look at"
    assert message.tone == "warning"


def test_a_value_stands_with_its_change_and_its_target():
    message = written([make_card("Active users", [100, 110], target=200)])

    ((label, value),) = lines(message, "Values")
    assert label == "Active users"
    said, change, target = value.split("\n")
    assert said == "110\u00a0users · Thu 26 Nov"
    assert change == "▲ 10\u00a0% on the day before"
    assert target.startswith("Target: 55\u00a0% of 200\u00a0users")
    assert target.endswith("Below target")


def test_a_change_too_small_for_a_share_is_said_as_an_amount():
    message = written([make_card("A", [10_000, 10_001])])

    assert "▲ 1\u00a0users on the day before" in lines(message, "Values")[0][1]


def test_what_is_unknown_is_never_a_zero():
    unread = make_card("Unread", [])
    broken = make_card("Broken", [], failure_count=1, message="Refused.")

    message = written([unread, broken])

    assert lines(message, "Values")[0][1].startswith("–\n")
    assert "No value so far" in lines(message, "Look at these first")[0][1]
    assert "0" not in lines(message, "Values")[0][1]


def test_off_target_and_firing_values_stand_before_the_others_in_the_boards_order():
    found = [
        make_card("A", [10, 10]),
        make_card("B", [10, 10], target=20),
        make_card("C", [10, 10]),
        make_card("D", [10, 10], alarm="critical"),
    ]

    message = written(found)

    labels = [label for label, _value in lines(message, "Values")]
    assert labels == ["D", "B", "A", "C"]
    assert "Critical: beyond its threshold" in lines(message, "Values")[0][1]


def test_switched_off_sources_are_counted_in_one_line():
    message = written(
        [make_card("A", [], is_on=False), make_card("B", [], is_on=False)]
    )

    assert message.sections == ()
    assert "2 KPIs are not read: their data sources are switched off." in message.text
    assert message.tone == "calm"


def test_yesterdays_incidents_then_p3s():
    troubles = [
        make_trouble("It burns", ago=2 * HOUR, resolved_at=None, priority="p0"),
        make_trouble("It was slow", ago=20 * HOUR),
        make_trouble("Odd figures", ago=3 * HOUR, priority="p3", holder="Ana"),
        make_trouble("Odd logs", ago=3 * HOUR, priority="p3", resolved_at=None),
    ]

    message = written([make_card("A", [1, 2])], troubles=troubles)

    assert lines(message, "Incidents since 26 Nov, 09:00") == [
        ("P0 · Backend: It burns", "since 07:00, nobody has it yet"),
        (
            "P1 · Backend: It was slow",
            "from 26 Nov, 13:00, lasted 12\u00a0min",
        ),
    ]
    assert [label for label, _state in lines(message, "Small incidents (P3)")] == [
        "P3 · Backend: Odd figures",
        "P3 · Backend: Odd logs",
    ]
    assert message.tone == "warning"


def test_p3s_that_were_listed_this_morning_are_counted_alone():
    trouble = make_trouble("Odd figures", ago=3 * HOUR, priority="p3")

    message = written([], troubles=[trouble], is_p3_told=True)

    assert lines(message, "Small incidents (P3)") == [
        ("1 new, 0 open", "This morning's P3 digest lists them.")
    ]


def test_many_incidents_are_cut_and_the_rest_is_counted():
    troubles = [make_trouble(f"Number {number}", ago=HOUR) for number in range(40)]

    message = written([], troubles=troubles)

    found = lines(message, "Incidents since 26 Nov, 09:00")
    assert len(found) == MOST_LISTED + 1
    assert found[-1][0] == f"and {40 - MOST_LISTED} more"


def test_a_quiet_morning_is_said_in_one_line():
    message = written([make_card("A", [1, 1])])

    assert message.title == "KPIs on Fri 27 Nov 2026"
    assert message.tone == "good"
    assert "No incident since 26 Nov, 09:00." in message.text
    assert "late" not in message.text


def test_one_that_is_late_says_so_first():
    message = written(
        [make_card("A", [1, 1])], written_at=MORNING + timedelta(minutes=102)
    )

    assert message.text.startswith("Sent late: at 10:42 instead of 09:00.\n")


def test_a_weekly_one_compares_with_the_week_before_and_says_the_mean():
    found = make_card("A", [1, 2, 10])
    change = comparing.change(value=Decimal(10), before=Decimal(8), direction="higher")
    stretch = Stretch(change=change, mean=Decimal(9), mean_change=change)

    message = written(
        [found],
        timing=Timing("weekly", time(9), weekday=4),
        stretches={"a": stretch},
        troubles=[make_trouble("Slow", ago=50 * HOUR)],
        responses=Responses(1, timedelta(minutes=4), timedelta(minutes=12)),
    )

    assert message.title == "KPIs of the week to Fri 27 Nov 2026"
    ((_label, value),) = lines(message, "Values")
    assert "▲ 25\u00a0% on the week before" in value
    assert "Mean of the week: 9\u00a0users (▲ 25\u00a0%)" in value
    assert "day before" not in value
    first = lines(message, "Incidents since 20 Nov, 09:00")[0]
    assert first == (
        "All together, on average",
        "P1: 1\nAcknowledged after 4\u00a0min\nResolved after 12\u00a0min",
    )


def test_a_monthly_one_speaks_of_the_month():
    stretch = Stretch(change=replace(comparing.Change(), difference=Decimal(0)))

    message = written(
        [make_card("A", [1, 1])],
        timing=Timing("monthly", time(9), day=27),
        stretches={"a": stretch},
    )

    assert message.title == "KPIs of the month to Fri 27 Nov 2026"
    assert "= no change on the month before" in lines(message, "Values")[0][1]
