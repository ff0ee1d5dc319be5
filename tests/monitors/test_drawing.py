"""Pictures of time: bars, ribbons, sparklines and the latency chart."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import date, datetime, timedelta

import pytest

from monitors.pages.chart import HEIGHT, WIDTH, Bound, Chart, Mark, latency_chart
from monitors.pages.drawing import (
    BAR_HEIGHT,
    day_bars,
    day_strip,
    day_title,
    ribbon,
    sparkline,
)
from monitors.queries.latency import Bin, Latency, Quantiles
from monitors.uptime import DayUptime, Interval, Uptime

DAY_S = 86_400
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def shapes(svg: str, tag: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter(tag))


def day(**seconds: float) -> DayUptime:
    values = {f"{status}_s": length for status, length in seconds.items()}
    return DayUptime(day=date(2026, 3, 2), uptime=Uptime(total_s=DAY_S, **values))


def layers(one: DayUptime) -> dict[str, float]:
    """Heights by status, from the top down, as shares of the bar."""
    return {
        rect.attrib["class"].removeprefix("is-"): float(rect.attrib["height"])
        / BAR_HEIGHT
        for rect in shapes(day_bars([one]), "rect")
    }


@pytest.mark.parametrize(
    ("seconds", "statuses"),
    [
        ({"up": DAY_S}, ["up"]),
        ({"up": DAY_S - 1, "down": 1}, ["down", "up"]),
        ({"down": DAY_S}, ["down"]),
        (
            {"up": 80_000, "down": 600, "degraded": 600, "maintenance": 600},
            ["down", "degraded", "maintenance", "up"],
        ),
        ({"up": 40_000, "unknown": 46_400}, ["up", "unknown"]),
        # A minute that nobody observed is no news on a bar; the figures say it.
        ({"up": DAY_S - 60, "unknown": 60}, ["up"]),
        ({"paused": DAY_S}, ["paused"]),
    ],
)
def test_bar_shows_what_a_day_was_made_of(seconds, statuses):
    found = layers(day(**seconds))

    assert list(found) == statuses
    assert sum(found.values()) == pytest.approx(1, abs=0.01)


def test_second_of_outage_in_a_day_is_seen():
    assert layers(day(up=DAY_S - 1, down=1))["down"] > 0.4


def test_up_is_never_squeezed_out():
    found = layers(day(up=80_000, down=60, degraded=60, maintenance=60))

    assert found["up"] > 0.05


def test_day_before_the_monitor_existed_is_a_stub():
    rects = shapes(day_bars([day()]), "rect")

    assert [rect.attrib["class"] for rect in rects] == ["is-none"]
    assert float(rects[0].attrib["height"]) < BAR_HEIGHT / 2


def test_bars_stand_side_by_side_each_with_its_title():
    svg = day_bars([day(up=DAY_S)] * 90)

    titles = shapes(svg, "title")
    xs = [float(rect.attrib["x"]) for rect in shapes(svg, "rect")]
    assert len(titles) == 90
    assert xs == [4.0 * index for index in range(90)]
    assert ET.fromstring(svg).attrib["viewBox"] == f"0 0 359 {BAR_HEIGHT}"


@pytest.mark.parametrize(
    ("seconds", "title"),
    [
        ({"up": DAY_S}, "Mon 2 Mar: 100 % up"),
        (
            {"up": DAY_S - 240, "down": 240},
            "Mon 2 Mar: 99.72 % up, down 4 min",
        ),
        ({"unknown": DAY_S}, "Mon 2 Mar: unknown 1 d"),
        ({}, "Mon 2 Mar: not watched yet"),
    ],
)
def test_title_of_a_day_gives_its_figures(seconds, title):
    assert day_title(day(**seconds)).replace("\u00a0", " ") == title


def test_strip_draws_the_same_and_keeps_the_words_for_a_script():
    days = [day(up=DAY_S), day(up=DAY_S - 240, down=240), day()]

    strip = ET.fromstring(day_strip(days))

    names = [path.attrib["class"] for path in strip.iter("path")]
    assert names == ["is-up", "is-down", "is-none"]
    assert strip.attrib["data-tips"].split("|") == [day_title(one) for one in days]


def test_bars_move_in_steps_that_can_be_seen():
    kept = {
        day_strip([day(up=40_000 + seconds, down=100)]).split("data-tips")[0]
        for seconds in (0, 20)
    }

    assert len(kept) == 1


def test_words_of_today_tick_by_the_minute():
    kept = {
        day_strip([day(up=40_000 - seconds, down=4_000 + seconds)])
        for seconds in (0, 15)
    }

    assert len(kept) == 1
    assert "down 1\u00a0h\u00a06\u00a0min" in kept.pop()


# --- The ribbon -------------------------------------------------------------------


def drawn(
    now: datetime, *intervals: Interval, until=None
) -> list[tuple[str, int, int]]:
    svg = ribbon(
        intervals=intervals,
        start=now - 10 * HOUR,
        end=now,
        now=now,
        observed_until=until,
    )
    return [
        (
            rect.attrib["class"].removeprefix("is-"),
            round(float(rect.attrib["x"])),
            round(float(rect.attrib["width"])),
        )
        for rect in shapes(svg, "rect")
    ]


def test_ribbon_is_drawn_to_scale_and_clamped(now):
    found = drawn(
        now,
        Interval("down", now - 20 * HOUR, now - 8 * HOUR),
        Interval("up", now - 8 * HOUR, None),
    )

    assert found == [("up", 200, 800), ("down", 0, 200)]


def test_ribbon_shows_a_short_outage_wider_than_it_was_and_on_top(now):
    found = drawn(
        now,
        Interval("up", now - 10 * HOUR, now - 5 * HOUR),
        Interval("down", now - 5 * HOUR, now - 5 * HOUR + timedelta(seconds=1)),
        Interval("up", now - 5 * HOUR + timedelta(seconds=1), None),
    )

    assert [line[0] for line in found] == ["up", "up", "down"]
    assert found[-1] == ("down", 500, 12)


def test_ribbon_keeps_an_outage_that_has_just_begun_inside(now):
    found = drawn(now, Interval("down", now - timedelta(seconds=1), None))

    assert found == [("down", 988, 12)]


def test_ribbon_is_unknown_where_nothing_vouches(now):
    found = drawn(now, Interval("up", now - 30 * HOUR, None), until=now - 2 * HOUR)

    assert found == [("up", 0, 800), ("unknown", 800, 200)]


def test_ribbon_says_what_went_wrong_and_escapes_it(now):
    svg = ribbon(
        intervals=[Interval("down", now - HOUR, None, 503, "<b>503</b>")],
        start=now - 10 * HOUR,
        end=now,
        now=now,
        observed_until=None,
    )

    assert "<b>" not in svg
    title = shapes(svg, "title")[0].text
    assert title is not None
    assert title.startswith("Down since 09:00:00: ")
    assert title.endswith("<b>503</b>")


def test_ribbon_says_from_when_to_when_of_what_is_over(now):
    svg = ribbon(
        intervals=[Interval("down", now - 2 * HOUR, now - HOUR, 503, "HTTP 503")],
        start=now - 10 * HOUR,
        end=now,
        now=now,
        observed_until=None,
    )

    title = shapes(svg, "title")[0].text or ""
    said = "Down from 08:00:00 to 09:00:00, 1 h: HTTP 503"
    assert title.replace("\u00a0", " ") == said


def test_ribbon_stands_still_between_two_steps_of_its_grid(now):
    kept = {
        ribbon(
            intervals=[Interval("down", now - HOUR, None)],
            start=now - 10 * HOUR,
            end=now + 10 * MINUTE,
            now=moment,
            observed_until=now + HOUR,
        )
        for moment in (now, now + timedelta(seconds=20))
    }

    assert len(kept) == 1


def test_ribbon_of_nothing_is_empty(now):
    assert drawn(now) == []


# --- Sparklines -------------------------------------------------------------------


def test_sparkline_has_gaps_where_values_are_missing():
    path = shapes(sparkline([1, 2, None, 4, 5]), "path")[0].attrib["d"]

    assert path.count("M") == 2
    assert path.count("L") == 2


@pytest.mark.parametrize("values", [[], [None, None], [3.0], [None, 3.0]])
def test_sparkline_needs_two_values(values):
    assert sparkline(values) == ""


def test_sparkline_of_zeros_is_a_line_at_the_bottom():
    assert "23.0" in sparkline([0.0, 0.0])


# --- The chart --------------------------------------------------------------------


def make_bin(start: datetime, ms: float, *, failed: int = 0) -> Bin:
    return Bin(
        start=start,
        phases_ms={"dns_ms": ms / 4, "first_byte_ms": ms / 2},
        passed_count=10,
        failed_count=failed,
        quantiles=Quantiles(ms, ms * 2, ms * 3),
    )


def make_latency(now: datetime, bins: list[Bin]) -> Latency:
    return Latency(
        start=now - 24 * HOUR,
        end=now,
        bin_width=10 * MINUTE,
        bins=bins,
        quantiles=None,
        mean_phases_ms={},
    )


def chart_of(now: datetime, bins: list[Bin], *, marks=(), bounds=()) -> Chart:
    chart = latency_chart(latency=make_latency(now, bins), marks=marks, bounds=bounds)
    assert chart is not None
    return chart


def line_of(chart: Chart) -> str:
    return next(
        path.attrib["d"]
        for path in shapes(chart.svg, "path")
        if path.attrib.get("class") == "ops-p95-line"
    )


def test_chart_without_measurements_is_none(now):
    silent = Bin(now - HOUR, {}, 0, 3, None)

    for bins in ([], [silent]):
        assert (
            latency_chart(latency=make_latency(now, bins), marks=(), bounds=()) is None
        )


def test_chart_stacks_phases_and_draws_the_p95(now):
    chart = chart_of(now, [make_bin(now - HOUR, 40), make_bin(now - 50 * MINUTE, 40)])

    paths = {path.attrib.get("class"): path for path in shapes(chart.svg, "path")}
    lines = {"ops-p50-line", "ops-p95-line", "ops-p99-line"}
    assert {"ops-phase-1", "ops-phase-4", *lines} == set(paths)
    assert line_of(chart).count("M") == 1
    # 2 × 40 ms and a little air.
    assert chart.y_labels == ["100\u00a0ms", "50\u00a0ms", "0"]
    assert chart.x_labels == ["10:00", "16:00", "22:00", "04:00", "10:00"]


def test_chart_breaks_the_line_at_a_gap(now):
    chart = chart_of(now, [make_bin(now - 3 * HOUR, 40), make_bin(now - HOUR, 40)])

    assert line_of(chart).count("M") == 2


def test_chart_says_the_figures_of_each_bin_and_where_there_are_none(now):
    chart = chart_of(now, [make_bin(now - 10 * MINUTE, 40)])

    tips = ET.fromstring(chart.svg).attrib["data-tips"].replace("\u00a0", " ")
    lines = tips.split("|")
    assert len(lines) == 144
    assert lines[0] == "1 Mar, 10:00 – 10:10: no result"
    assert lines[-1] == (
        "2 Mar, 09:50 – 10:00: median 40 ms, p95 80 ms, p99 120 ms"
        " · DNS 10 ms, first byte 20 ms · 10 passed, 0 failed"
    )


def test_chart_marks_bins_with_failures(now):
    chart = chart_of(now, [make_bin(now - HOUR, 40, failed=2)])

    names = [rect.attrib["class"] for rect in shapes(chart.svg, "rect")]
    assert "ops-failed" in names
    assert "10 passed, 2 failed" in chart.svg


def test_chart_marks_incidents_of_its_time_alone(now):
    chart = chart_of(
        now,
        [make_bin(now - HOUR, 40)],
        marks=[
            Mark(now - 12 * HOUR, "P0 <down>", "/incidents/1/"),
            Mark(now - 30 * HOUR, "old", "/incidents/2/"),
        ],
    )

    links = shapes(chart.svg, "a")
    assert [link.attrib["href"] for link in links] == ["/incidents/1/"]
    assert f"M{WIDTH / 2:g} 0V{HEIGHT}" in chart.svg
    assert "<down>" not in chart.svg


@pytest.mark.parametrize(
    ("ms", "is_drawn", "top"),
    [(90, True, "100 ms"), (100, True, "150 ms"), (500, False, "100 ms")],
)
def test_chart_draws_bounds_that_do_not_flatten_it(now, ms, is_drawn, top):
    chart = chart_of(now, [make_bin(now - HOUR, 40)], bounds=[Bound("critical", ms)])

    assert ("ops-bound-critical" in chart.svg) is is_drawn
    assert chart.y_labels[0].replace("\u00a0", " ") == top


@pytest.mark.parametrize(
    ("ms", "labels"),
    [
        (0.01, ["0.03 ms", "0.015 ms", "0"]),
        (600, ["1.5 s", "750 ms", "0"]),
        (4000, ["10 s", "5 s", "0"]),
    ],
)
def test_axis_ends_at_a_round_number(now, ms, labels):
    chart = chart_of(now, [make_bin(now - HOUR, ms)])

    assert [label.replace("\u00a0", " ") for label in chart.y_labels] == labels
