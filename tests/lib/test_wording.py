"""How times, lengths and figures are said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template
from django.utils import timezone, translation

from t4g_portal.lib import wording

NOW = datetime(2026, 3, 2, 13, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (-5, "0 s"),
        (0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (4 * 3600 + 12 * 60 + 59, "4 h 12 min"),
        (86_400 + 59, "1 d"),
        (90 * 86_400 + 5 * 3600, "90 d 5 h"),
    ],
)
def test_duration_has_at_most_two_units(seconds: float | None, said: str):
    assert wording.duration(seconds) == said.replace(" ", "\u00a0")


def test_duration_takes_a_timedelta():
    assert (
        wording.duration(timedelta(minutes=3, seconds=20))
        == "3\u00a0min\u00a020\u00a0s"
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (1.9, "just now"),
        (-1, "just now"),
        (20, "20 s ago"),
        (260, "4 min ago"),
        (7300, "2 h ago"),
        (9 * 86_400, "9 d ago"),
        (-260, "in 4 min"),
    ],
)
def test_ago_has_one_unit(seconds: float, said: str):
    assert wording.ago(NOW - timedelta(seconds=seconds), now=NOW) == _spaced(said)


def _spaced(said: str) -> str:
    """The length alone is held together."""
    for unit in (" s", " min", " h", " d"):
        for end in (" ago", ""):
            if said.endswith(unit + end):
                return said.removesuffix(unit + end) + "\u00a0" + unit.strip() + end
    return said


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (NOW, "14:02:10"),
        (NOW - timedelta(days=2), "28 Feb, 14:02"),
        (NOW - timedelta(days=400), "26 Jan 2025, 14:02"),
    ],
)
def test_clock_is_as_short_as_it_stays_clear(moment: datetime, said: str):
    with timezone.override("Europe/Paris"):
        assert wording.clock(moment, now=NOW) == said


def test_clock_counts_days_in_the_readers_zone():
    late = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)

    with timezone.override("Europe/Paris"):
        in_paris = wording.clock(late, now=NOW)
    with timezone.override("UTC"):
        in_utc = wording.clock(late, now=NOW)

    assert in_paris == "00:30:00"
    assert in_utc == "1 Mar, 23:30"


@pytest.mark.parametrize(
    ("start", "minutes", "said"),
    [
        (NOW, 3, "14:02:10 – 14:05:10"),
        (NOW - timedelta(days=2), 3, "28 Feb, 14:02 – 14:05"),
        (NOW - timedelta(days=2), 600, "28 Feb, 14:02 – 1 Mar, 00:02"),
    ],
)
def test_span_says_a_day_once(start: datetime, minutes: int, said: str):
    with timezone.override("Europe/Paris"):
        end = start + timedelta(minutes=minutes)
        assert wording.span(start, end, now=NOW) == said


@pytest.mark.parametrize(
    ("start", "minutes", "said"),
    [
        (NOW, 3, "14:02 – 14:05"),
        (NOW + timedelta(days=1), 60, "3 Mar, 14:02 – 15:02"),
        (NOW, 1440, "14:02 – 3 Mar, 14:02"),
    ],
)
def test_minute_span_has_no_seconds(start: datetime, minutes: int, said: str):
    with timezone.override("Europe/Paris"):
        end = start + timedelta(minutes=minutes)
        assert wording.minute_span(start, end, now=NOW) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "–"),
        (0.04, "0.0 ms"),
        (3.26, "3.3 ms"),
        (9.94, "9.9 ms"),
        (9.96, "10 ms"),
        (419.6, "420 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1240, "1.24 s"),
        (12_340, "12.3 s"),
    ],
)
def test_milliseconds_have_the_digits_that_they_deserve(value, said: str):
    assert wording.milliseconds(value) == said.replace(" ", "\u00a0")


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (None, "–"),
        (1, "100 %"),
        (0.99996, "99.99 %"),
        (0.9999, "99.99 %"),
        (0.9995, "99.95 %"),
        (0.999, "99.90 %"),
        (0.0, "0 %"),
        (0.00001, "0.00 %"),
    ],
)
def test_percent_rounds_down(ratio: float | None, said: str):
    assert wording.percent(ratio) == said.replace(" ", "\u00a0")


def test_figures_are_said_in_the_readers_language():
    with translation.override("fr"):
        assert wording.percent(0.9995) == "99,95\u00a0%"
        assert wording.milliseconds(1240) == "1,24\u00a0s"


def test_filters_make_times_with_the_full_moment_in_the_title():
    page = Template("{% load portal %}{{ at|ago:now }} {{ at|clock:now }}")

    with timezone.override("Europe/Paris"):
        shown = page.render(Context({"at": NOW - timedelta(minutes=4), "now": NOW}))

    assert shown.count('title="Mon 2 Mar 2026, 13:58:10 CET"') == 2
    assert ">4\u00a0min ago</time>" in shown
    assert ">13:58:10</time>" in shown


@pytest.mark.parametrize(
    "name", ["ago", "clock", "absolute", "duration", "ms", "percent"]
)
@pytest.mark.parametrize("missing", [None, ""])
def test_filters_show_a_dash_for_what_is_missing(name: str, missing):
    page = Template("{% load portal %}{{ value|" + name + " }}")

    assert page.render(Context({"value": missing})) == "–"
