"""Periods in the reader's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.http import QueryDict
from django.utils import timezone

from incidents.numbers.period import LONGEST_DAYS, asked_for, between, last_days

NOW = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # the 30th in Paris, in summer time


def test_days_are_the_readers():
    with timezone.override(ZoneInfo("Europe/Paris")):
        in_paris = last_days(key="30d", now=NOW)
    with timezone.override(ZoneInfo("America/New_York")):
        in_new_york = last_days(key="30d", now=NOW)

    assert (in_paris.first, in_paris.last) == (date(2026, 3, 1), date(2026, 3, 30))
    assert in_paris.since == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert (in_new_york.last, in_new_york.until) == (date(2026, 3, 29), NOW)


@pytest.mark.parametrize("key", ["30d", "90d", "1y"])
def test_columns_cover_the_period_and_begin_on_mondays(key):
    period = last_days(key=key, now=NOW)

    days = [
        first + timedelta(days=n)
        for first, last in period.columns
        for n in range((last - first).days + 1)
    ]
    assert days == [period.first + timedelta(days=n) for n in range(period.day_count)]
    assert len(period.borders) == len(period.columns)
    if not period.is_daily:
        assert all(first.isoweekday() == 1 for first, _last in period.columns[1:])


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("2026-04-02", "2026-04-03", "start"),
        ("2026-03-03", "2026-03-02", "end"),
        ("2020-01-01", "2026-03-02", "end"),
        ("tomorrow", "2026-03-02", "start"),
        ("2026-03-01", "", "end"),
    ],
)
def test_days_that_make_no_sense_say_why_and_show_the_last_month(start, end, field):
    query = QueryDict(f"period=custom&start={start}&end={end}")

    period, form = asked_for(query=query, now=NOW)

    assert list(form.errors) == [field]
    assert period.key == "30d"


def test_a_chosen_stretch_ends_now_at_the_latest():
    query = QueryDict("period=custom&start=2026-03-29&end=2026-12-31")

    period, _form = asked_for(query=query, now=NOW)

    assert period.until == NOW
    assert period.last == timezone.localdate(NOW)
    longest = between(
        first=date(2023, 1, 1),
        last=date(2023, 1, 1) + timedelta(days=LONGEST_DAYS - 1),
        now=NOW,
        key="custom",
    )
    assert longest.day_count == LONGEST_DAYS
