"""A KPI as a picture, and as a table."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from kpis import buckets
from kpis.buckets import DAY, Shape
from kpis.showing import table
from kpis.showing.card import Definition, Point
from kpis.showing.drawing import HEIGHT, WIDTH, Chart, Stroke, chart, sparkline

NOW = datetime(2026, 11, 27, 8, 14, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
OF = Definition("k", "Orders", "orders", 0, "higher", Shape(DAY, 1, "Europe/Paris"))
CUT = buckets.between(OF.shape, NOW - 9 * ONE_DAY, NOW)


def drawn(values: list[float | None], **rest: Any) -> Chart | None:
    points = {
        bucket.start: Point(
            bucket.start,
            bucket.end,
            Decimal(str(value)),
            bucket.end <= NOW,
            1,
            NOW,
        )
        for bucket, value in zip(CUT, values, strict=False)
        if value is not None
    }
    values_of = {"targets": [], "strokes": [], "now": NOW, **rest}
    return chart(of=OF, cut=CUT, points=points, **values_of)


def path_of(found: Chart | None, name: str) -> str:
    assert found is not None
    for path in ET.fromstring(found.svg).iter("path"):
        if path.attrib.get("class") == name:
            return path.attrib["d"]
    raise AssertionError(f"no path {name}")


def tips_of(found: Chart | None) -> list[str]:
    assert found is not None
    return ET.fromstring(found.svg).attrib["data-tips"].split("|")


def test_curve_is_broken_where_nothing_is_known():
    found = drawn([1, 2, None, 4, 5])

    assert path_of(found, "kpi-line").count("M") == 2


def test_value_that_stands_alone_is_seen():
    found = drawn([None, None, 4, None])

    assert path_of(found, "kpi-line").endswith("h.01")


def test_nothing_known_draws_nothing():
    assert drawn([None, None]) is None


def test_zero_is_a_value_and_unknown_is_not():
    found = drawn([0, 5, None])

    tips = tips_of(found)
    assert "0\u00a0orders" in tips[0]
    assert "no value" in tips[2]
    assert f" {HEIGHT:.1f}" in path_of(found, "kpi-line")


def test_axis_begins_at_zero_unless_all_is_far_above():
    low, high = drawn([10, 50, 100]), drawn([1000, 1010, 1020])

    assert low is not None
    assert high is not None
    assert low.y_labels[-1] == "0"
    assert high.y_labels[-1] != "0"
    # An area that doesn't stand on zero would lie about its size.
    assert "kpi-area" in low.svg
    assert "kpi-area" not in high.svg


def test_values_below_zero_stay_in_the_picture():
    found = drawn([-40, 10, 30])

    assert found is not None
    assert found.y_labels[-1].startswith("\u2212")


def test_same_value_every_day_can_be_drawn():
    assert drawn([7, 7, 7]) is not None
    assert drawn([0, 0, 0]) is not None


def test_target_steps_where_its_month_begins():
    targets = [(date(2026, 1, 1), Decimal(40)), (date(2026, 11, 22), Decimal(60))]

    found = drawn([50.0] * 10, targets=targets)

    assert path_of(found, "kpi-target").count("M") == 2
    assert found is not None
    assert found.has_target


def test_target_out_of_sight_leaves_the_curve_alone():
    found = drawn([5.0] * 10, targets=[(date(2026, 1, 1), Decimal(5000))])

    assert found is not None
    assert "kpi-target" not in found.svg
    assert "target 5,000" in tips_of(found)[0]


def test_period_that_runs_is_drawn_apart():
    found = drawn([float(one) for one in range(10)])

    assert found is not None
    assert found.has_running
    assert path_of(found, "kpi-line kpi-open").count("L") == 1
    assert "not final" in tips_of(found)[-1]


def test_marks_stand_at_their_time_and_in_the_tips():
    strokes = [
        Stroke(
            "incident", CUT[4].start, CUT[4].end, "API: <down> | bad", "/incidents/7/"
        ),
        Stroke("maintenance", CUT[1].start, CUT[2].start, "Upgrade"),
        Stroke("note", CUT[0].start - 9 * ONE_DAY, None, "long ago"),
    ]

    found = drawn([1.0] * 10, strokes=strokes)

    assert found is not None
    assert found.kinds == {"incident", "maintenance"}
    link = next(ET.fromstring(found.svg).iter("a"))
    assert link.attrib["href"] == "/incidents/7/"
    assert link.find("path").attrib["d"] == f"M{WIDTH * 0.4:.1f} 0V{HEIGHT}"  # type: ignore[union-attr]
    assert "API: <down> / bad" in tips_of(found)[4]
    assert len(tips_of(found)) == len(CUT)


def test_small_picture_needs_two_values():
    assert sparkline([None, 3.0], label="x") == ""
    assert sparkline([2.0, None, 3.0], label="a & b").count("kpi-spark-end") == 1


def test_table_says_unknown_for_a_gap_and_compares_neighbors_alone():
    points = {
        CUT[index].start: Point(
            CUT[index].start, CUT[index].end, Decimal(value), True, version, NOW
        )
        for index, value, version in ((5, 10, 1), (6, 20, 1), (8, 30, 2))
    }

    rows = table.rows(of=OF, cut=CUT[:9], points=points, targets=[], count=4, now=NOW)

    assert [str(row.figure.number) if row.figure else None for row in rows] == [
        "30",
        None,
        "20",
        "10",
    ]
    assert [row.change for row in rows] == ["", "", "+100\u00a0%", ""]


def test_turn_is_found_where_the_calculation_changed():
    points = {
        one.start: Point(one.start, one.end, Decimal(1), True, 1 + (index > 4), NOW)
        for index, one in enumerate(CUT)
        if index != 5
    }

    found = list(table.turns(CUT, points))

    assert [(one.at, one.version_id) for one in found] == [(CUT[6].start, 2)]
    assert replace(found[0], version_id=2) == found[0]
