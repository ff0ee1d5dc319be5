"""A KPI as a picture: the small one of a card, and the large one of its page. Pure.

Drawn in a box that is stretched to the page's width, so words stand outside of it; what
a period says is read aloud and shown by `portal/tips.js`. A period of which nothing is
known is a gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from kpis.buckets import HOUR, Bucket
from kpis.showing import figures, periods
from kpis.showing.card import Definition, Point
from kpis.showing.comparing import target_on

WIDTH = 1000
HEIGHT = 240
SPARK_WIDTH, SPARK_HEIGHT = 120, 32
# Room for the line's own width above and below.
_MARGIN = 2
# An axis begins at zero unless all is above that share of the highest value.
_FROM_ZERO = 0.6
# A target further away than that from what was measured would flatten the picture.
_FAR = 3.0
# What half of an axis may be, times a power of ten.
_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_HEADROOM = 0.04
_TICK_COUNT = 5
_LEAST_BAND = 3.0
# What divides the tips of a picture, and the lines of a tip.
_NO_TIP = str.maketrans({"|": "/", "·": "-"})


@dataclass(frozen=True, slots=True)
class Stroke:
    """Something that happened at a time, as the picture marks it."""

    # "incident", "maintenance", "note" or "version".
    kind: str
    at: datetime
    ended_at: datetime | None
    title: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """The picture and the words around it: from the top down, and from left to right."""

    svg: SafeString
    y_labels: Sequence[str]
    x_labels: Sequence[str]
    # The kinds of marks that are in it, and whether a target and an open period are.
    kinds: frozenset[str]
    has_target: bool
    has_running: bool


def sparkline(values: Sequence[float | None], *, label: str) -> SafeString:
    """Draw the last periods as a line with gaps, the last known one as a dot.

    Empty without two values.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return SafeString("")
    low, high = min(known), max(known)
    spread = (high - low) or 1.0
    step = SPARK_WIDTH / (len(values) - 1)
    inner = SPARK_HEIGHT - 2 * _MARGIN - 2

    def place(value: float) -> float:
        if high == low:
            return SPARK_HEIGHT / 2
        return _MARGIN + 1 + inner * (1 - (value - low) / spread)

    spots = [
        None if value is None else (index * step, place(value))
        for index, value in enumerate(values)
    ]
    last = next(spot for spot in reversed(spots) if spot is not None)
    return mark_safe(  # noqa: S308 numbers and an escaped label only
        f'<svg class="kpi-spark" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}" role="img"'
        f' aria-label="{escape(label)}" preserveAspectRatio="none">'
        f'<path d="{_line(spots)}"/>'
        f'<path class="kpi-spark-end" d="M{last[0]:.1f} {last[1]:.1f}h.01"/></svg>'
    )


def chart(
    *,
    of: Definition,
    cut: Sequence[Bucket],
    points: Mapping[datetime, Point],
    targets: Sequence[tuple[date, Decimal]],
    strokes: Sequence[Stroke],
    now: datetime,
) -> Chart | None:
    """Draw the periods of `cut`; None when nothing of them is known.

    `points`: by the start of their period. `targets`: as `comparing.target_on`.
    """
    known = [points[one.start] for one in cut if one.start in points]
    if not known:
        return None
    aims = [_aim(of, one, targets) for one in cut]
    scale = _Scale(cut, _axis(known, aims))
    marks = [one for one in strokes if scale.covers(one)]
    running = points.get(cut[-1].start)
    if running is not None and running.is_complete:
        running = None
    shapes = [
        *(_band(one, scale) for one in marks if one.kind == "maintenance"),
        *_values(cut, points, scale),
        *_targets(aims, scale),
        *(_mark(one, scale) for one in marks if one.kind != "maintenance"),
    ]
    label = _("%(name)s from %(start)s to %(end)s") % {
        "name": of.name,
        "start": _full_day(cut[0].start, of),
        "end": _full_day(known[-1].start, of),
    }
    tips = "|".join(_tips(of, cut, points, aims, marks, now))
    svg = mark_safe(  # noqa: S308 numbers and escaped words only
        f'<svg class="ops-chart-picture kpi-picture" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' role="img" aria-label="{escape(label)}" preserveAspectRatio="none"'
        f' data-tips="{escape(tips)}">{"".join(shapes)}</svg>'
    )
    return Chart(
        svg=svg,
        y_labels=scale.labels(of),
        x_labels=_x_labels(of, cut),
        kinds=frozenset(one.kind for one in marks),
        has_target=any(aim is not None for aim in aims),
        has_running=running is not None,
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    """From `low` up to `high`, which are two equal steps apart."""

    low: float
    high: float


class _Scale:
    """From periods and values to the picture's units.

    Each period is as wide as another, so that a tip's column lies over its period.
    """

    def __init__(self, cut: Sequence[Bucket], axis: _Axis) -> None:
        self._cut = cut
        self._axis = axis
        self.width = WIDTH / len(cut)

    def middle(self, index: int) -> float:
        return (index + 0.5) * self.width

    def y(self, value: float) -> float:
        share = (value - self._axis.low) / (self._axis.high - self._axis.low)
        return HEIGHT * (1 - min(max(share, 0), 1))

    def holds(self, value: float) -> bool:
        return self._axis.low <= value <= self._axis.high

    def covers(self, stroke: Stroke) -> bool:
        ended = stroke.ended_at or stroke.at
        return ended >= self._cut[0].start and stroke.at < self._cut[-1].end

    def x(self, at: datetime) -> float:
        """Return the place of a moment, within the picture."""
        first, last = self._cut[0], self._cut[-1]
        if at <= first.start:
            return 0.0
        if at >= last.end:
            return float(WIDTH)
        low, high = 0, len(self._cut) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._cut[middle].start <= at:
                low = middle
            else:
                high = middle - 1
        period = self._cut[low]
        passed = (at - period.start) / (period.end - period.start)
        return (low + passed) * self.width

    def labels(self, of: Definition) -> list[str]:
        """Say the top, the middle and the bottom of the axis."""
        low, high = self._axis.low, self._axis.high
        digits = _digits((high - low) / 2)
        return [
            str(
                figures.figure(
                    Decimal(repr(value)),
                    unit=of.unit
                    if of.unit in (figures.PERCENT, figures.SECONDS)
                    else "",
                    decimals=digits,
                )
            )
            for value in (high, (high + low) / 2, low)
        ]


def _axis(known: Sequence[Point], aims: Sequence[float | None]) -> _Axis:
    values = [float(point.value) for point in known]
    least, most = min(values), max(values)
    reach = max(abs(least), abs(most)) * _FAR
    for aim in aims:
        if aim is not None and abs(aim) <= reach:
            least, most = min(least, aim), max(most, aim)
    if 0 <= least < most * _FROM_ZERO or least == most:
        least, most = min(least, 0.0), max(most, 0.0)
    if least == most:
        return _Axis(0.0, 1.0)
    # What is highest does not touch the edge.
    most += (most - least) * _HEADROOM if most else 0
    return _round_axis(least, most)


def _round_axis(least: float, most: float) -> _Axis:
    """Return the narrowest axis of two round steps that holds both."""
    power = 10.0 ** math.floor(math.log10((most - least) / 2))
    for scale in (power, power * 10):
        for step in _STEPS:
            size = step * scale
            low = math.floor(round(least / size, 9)) * size
            if low + 2 * size >= most - size * 1e-9:
                return _Axis(round(low, 10), round(low + 2 * size, 10))
    return _Axis(least, most)


def _digits(step: float) -> int:
    """Return how many digits behind the point a step of an axis needs."""
    for digits in range(8):
        if math.isclose(round(step, digits), step, rel_tol=1e-9):
            return digits
    return 8


def _aim(
    of: Definition, bucket: Bucket, targets: Sequence[tuple[date, Decimal]]
) -> float | None:
    if not targets:
        return None
    day = periods.local_day(bucket.start, of.shape.zone)
    found = target_on(targets, day)
    return None if found is None else float(found)


def _values(
    cut: Sequence[Bucket], points: Mapping[datetime, Point], scale: _Scale
) -> Iterator[str]:
    spots: list[tuple[float, float] | None] = []
    open_spots: list[tuple[float, float]] = []
    before: tuple[float, float] | None = None
    for index, period in enumerate(cut):
        point = points.get(period.start)
        if point is None:
            spots.append(None)
            before = None
            continue
        spot = (scale.middle(index), scale.y(float(point.value)))
        if point.is_complete:
            spots.append(spot)
        else:
            spots.append(None)
            open_spots += [before, spot] if before else [spot]
        before = spot
    if scale.holds(0):
        # From another foot than zero its size would lie.
        yield f'<path class="kpi-area" d="{_area(spots, scale.y(0))}"/>'
    yield f'<path class="kpi-line" d="{_line(spots)}"/>'
    if open_spots:
        yield f'<path class="kpi-line kpi-open" d="{_line(open_spots)}"/>'
        x, y = open_spots[-1]
        yield f'<path class="kpi-dot" d="M{x:.1f} {y:.1f}h.01"/>'


def _line(spots: Iterable[tuple[float, float] | None]) -> str:
    """Join what lies side by side; what stands alone is a dot."""
    return "".join(
        "M"
        + "L".join(f"{x:.1f} {y:.1f}" for x, y in stretch)
        + ("h.01" if len(stretch) == 1 else "")
        for stretch in _stretches(spots)
    )


def _area(spots: Iterable[tuple[float, float] | None], foot: float) -> str:
    return "".join(
        f"M{stretch[0][0]:.1f} {foot:.1f}L"
        + "L".join(f"{x:.1f} {y:.1f}" for x, y in stretch)
        + f"V{foot:.1f}z"
        for stretch in _stretches(spots)
        if len(stretch) > 1
    )


def _stretches(
    spots: Iterable[tuple[float, float] | None],
) -> Iterator[list[tuple[float, float]]]:
    stretch: list[tuple[float, float]] = []
    for spot in spots:
        if spot is not None:
            stretch.append(spot)
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _targets(aims: Sequence[float | None], scale: _Scale) -> Iterator[str]:
    """One level line for each stretch of equal targets."""
    pieces = []
    began = 0
    for index in range(1, len(aims) + 1):
        if index < len(aims) and aims[index] == aims[began]:
            continue
        aim = aims[began]
        if aim is not None and scale.holds(aim):
            pieces.append(
                f"M{began * scale.width:.1f} {scale.y(aim):.1f}"
                f"H{index * scale.width:.1f}"
            )
        began = index
    if pieces:
        yield f'<path class="kpi-target" d="{"".join(pieces)}"/>'


def _band(stroke: Stroke, scale: _Scale) -> str:
    x = scale.x(stroke.at)
    width = max(scale.x(stroke.ended_at or stroke.at) - x, _LEAST_BAND)
    return (
        f'<rect class="kpi-band" x="{x:.1f}" y="0" width="{width:.1f}"'
        f' height="{HEIGHT}"><title>{escape(stroke.title)}</title></rect>'
    )


def _mark(stroke: Stroke, scale: _Scale) -> str:
    x = scale.x(stroke.at)
    drawn = (
        f"<title>{escape(stroke.title)}</title>"
        f'<rect x="{x - 4:.1f}" y="0" width="8" height="{HEIGHT}"/>'
        f'<path d="M{x:.1f} 0V{HEIGHT}"/>'
    )
    name = f"kpi-mark kpi-mark-{stroke.kind}"
    if stroke.url:
        return f'<a class="{name}" href="{escape(stroke.url)}">{drawn}</a>'
    return f'<g class="{name}">{drawn}</g>'


def _tips(
    of: Definition,
    cut: Sequence[Bucket],
    points: Mapping[datetime, Point],
    aims: Sequence[float | None],
    marks: Sequence[Stroke],
    now: datetime,
) -> Iterator[str]:
    """Say each period's value, its target and what happened in it."""
    nothing, open_, target = _("no value"), _("not final"), _("target %(target)s")
    for period, aim in zip(cut, aims, strict=True):
        point = points.get(period.start)
        parts = [str(of.figure(point.value)) if point else nothing]
        if point is not None and not point.is_complete:
            parts.append(open_)
        if aim is not None:
            parts.append(target % {"target": of.figure(Decimal(repr(aim)))})
        parts += [
            one.title.translate(_NO_TIP)
            for one in marks
            if one.at < period.end and (one.ended_at or one.at) >= period.start
        ]
        name = periods.period(
            shape=of.shape, start=period.start, end=period.end, now=now
        )
        yield f"{name}: {' · '.join(parts)}"


def _x_labels(of: Definition, cut: Sequence[Bucket]) -> list[str]:
    """Name some periods, evenly spread; the first and the last among them."""
    count = min(_TICK_COUNT, len(cut))
    if count == 1:
        return [periods.short(shape=of.shape, start=cut[0].start)]
    places = [round(step * (len(cut) - 1) / (count - 1)) for step in range(count)]
    is_short = of.shape.grain == HOUR and len(cut) <= 48
    if is_short:
        zone = ZoneInfo(of.shape.zone)
        return [
            date_format(cut[place].start.astimezone(zone), pgettext("date", "j M, H:i"))
            for place in places
        ]
    return [periods.short(shape=of.shape, start=cut[place].start) for place in places]


def _full_day(start: datetime, of: Definition) -> str:
    local = start.astimezone(ZoneInfo(of.shape.zone))
    return date_format(local, pgettext("date", "j M Y"))
