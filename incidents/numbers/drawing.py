"""Pictures of the figures as SVG, a column a day or a week. Pure.

Drawn in a box that is stretched to the page's width, so words stand outside of it; what
a column says is read aloud and shown by `portal/tips.js`. A column of which nothing is
known stays empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from incidents.numbers.figures import Line
from incidents.numbers.period import Period
from t4g_portal.lib import wording

WIDTH = 1000
HEIGHT = 180
STRIP_HEIGHT = 24
# The share of its place that a column fills.
_FILLED = 0.72
# What is there must be seen.
_LEAST = 2.0
_TICK = 3.0
# Round lengths in seconds for the top of an axis; beyond, whole days.
_LENGTHS = (
    *(10, 20, 40, 60, 120, 240, 360, 600, 1200, 1800, 2400, 3600),
    *(5400, 7200, 10_800, 14_400, 21_600, 28_800, 43_200, 86_400),
)
# Round counts, times a power of ten.
_COUNTS = (2, 4, 6, 8, 10, 12, 16)
_SPREAD_OUT = 4


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture and the words around it: from the top down, and from left to right."""

    svg: SafeString
    y_labels: Sequence[str]
    x_labels: Sequence[str]


def incident_chart(*, lines: Sequence[Line], period: Period) -> Chart | None:
    """Draw how many incidents there were; those that nobody acknowledged lighter.

    None when there were none.
    """
    highest = max((line.incident_count for line in lines), default=0)
    if not highest:
        return None
    top = _round_count(highest)
    places = _places(len(lines))
    acknowledged, others = [], []
    for (x, width), line in zip(places, lines, strict=True):
        known = _height(line.to_acknowledge.count, top)
        rest = _height(line.incident_count - line.to_acknowledge.count, top)
        if known:
            acknowledged.append(_box(x, HEIGHT - known, width, known))
        if rest:
            others.append(_box(x, HEIGHT - known - rest, width, rest))
    shapes = [
        f'<path class="num-acknowledged" d="{"".join(acknowledged)}"/>',
        f'<path class="num-rest" d="{"".join(others)}"/>',
    ]
    return Chart(
        svg=_svg(
            "ops-chart-picture num-picture",
            HEIGHT,
            shapes,
            label=_("Incidents by day") if period.is_daily else _("Incidents by week"),
            tips=[_incident_tip(*one) for one in _named(period, lines)],
        ),
        y_labels=[str(top), str(top // 2), "0"],
        x_labels=_x_labels(period),
    )


def response_chart(*, lines: Sequence[Line], period: Period) -> Chart | None:
    """Draw how long acknowledging took: a tick at the median, a bar from it to the p90.

    None when nothing was acknowledged.
    """
    longest = max((line.to_acknowledge.p90_s or 0 for line in lines), default=0)
    if not any(line.to_acknowledge.count for line in lines):
        return None
    top = _round_length(longest)
    bars, ticks = [], []
    for (x, width), line in zip(_places(len(lines)), lines, strict=True):
        spread = line.to_acknowledge
        if spread.median_s is None or spread.p90_s is None:
            continue
        low, high = (
            HEIGHT * (1 - min(one / top, 1)) for one in (spread.median_s, spread.p90_s)
        )
        bars.append(_box(x, high, width, low - high))
        ticks.append(_box(x, min(low, HEIGHT - _TICK), width, _TICK))
    shapes = [
        f'<path class="num-reach" d="{"".join(bars)}"/>',
        f'<path class="num-median" d="{"".join(ticks)}"/>',
    ]
    return Chart(
        svg=_svg(
            "ops-chart-picture num-picture",
            HEIGHT,
            shapes,
            label=_("Time to acknowledge by day")
            if period.is_daily
            else _("Time to acknowledge by week"),
            tips=[_response_tip(*one) for one in _named(period, lines)],
        ),
        y_labels=[wording.duration(top), wording.duration(top / 2), "0"],
        x_labels=_x_labels(period),
    )


def page_strip(*, counts: Sequence[int], period: Period) -> SafeString:
    """Draw how often somebody was paged, small enough for a row of a table."""
    highest = max(counts, default=0) or 1
    boxes = [
        _box(
            x,
            STRIP_HEIGHT * (1 - count / highest),
            width,
            STRIP_HEIGHT * count / highest,
        )
        for (x, width), count in zip(_places(len(counts)), counts, strict=True)
        if count
    ]
    return _svg(
        "num-strip",
        STRIP_HEIGHT,
        [f'<path d="{"".join(boxes)}"/>'],
        label=ngettext(
            "%(count)d page at most", "%(count)d pages at most", max(counts, default=0)
        )
        % {"count": max(counts, default=0)},
        tips=[
            f"{name}: {_pages(count)}"
            for name, count in zip(_names(period), counts, strict=True)
        ],
    )


def _places(count: int) -> Iterable[tuple[float, float]]:
    """Return where each column begins and how wide it is."""
    step = WIDTH / count
    return [
        (index * step + step * (1 - _FILLED) / 2, step * _FILLED)
        for index in range(count)
    ]


def _height(count: int, top: int) -> float:
    return max(HEIGHT * count / top, _LEAST) if count else 0.0


def _box(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"


def _round_count(highest: int) -> int:
    power = 1
    while True:
        for step in _COUNTS:
            if step * power >= highest:
                return step * power
        power *= 10


def _round_length(longest_s: float) -> float:
    day_s = _LENGTHS[-1]
    beyond = -(-longest_s // day_s) * day_s
    return next((length for length in _LENGTHS if length >= longest_s), beyond)


def _x_labels(period: Period) -> list[str]:
    """Return the first days of some columns, evenly spread, and the last day."""
    columns = period.columns
    count = min(_SPREAD_OUT, len(columns))
    firsts = [columns[len(columns) * step // count][0] for step in range(count)]
    is_today = period.key != "custom"
    return [*map(_day, firsts), _("today") if is_today else _day(period.last)]


def _named(period: Period, lines: Sequence[Line]) -> Iterable[tuple[str, Line]]:
    return zip(_names(period), lines, strict=True)


def _names(period: Period) -> list[str]:
    return [
        _day(first) if first == last else f"{_day(first)} – {_day(last)}"
        for first, last in period.columns
    ]


def _day(day: date) -> str:
    return date_format(day, pgettext("date", "j M"))


def _pages(count: int) -> str:
    return ngettext("%(count)d page", "%(count)d pages", count) % {"count": count}


def _incident_tip(name: str, line: Line) -> str:
    said = ngettext(
        "%(count)d incident", "%(count)d incidents", line.incident_count
    ) % {"count": line.incident_count}
    parts = [said]
    if line.incident_count:
        parts.append(_("%(count)d acknowledged") % {"count": line.to_acknowledge.count})
    if line.brief_count:
        parts.append(
            _("%(count)d over by itself within 5 min") % {"count": line.brief_count}
        )
    return f"{name}: {' · '.join(parts)}"


def _response_tip(name: str, line: Line) -> str:
    spread = line.to_acknowledge
    if not spread.count:
        return f"{name}: {_('nothing acknowledged')}"
    parts = [
        _("half within %(length)s") % {"length": wording.duration(spread.median_s)},
        _("9 of 10 within %(length)s") % {"length": wording.duration(spread.p90_s)},
        _("%(count)d of %(total)d acknowledged")
        % {"count": spread.count, "total": line.incident_count},
    ]
    return f"{name}: {' · '.join(parts)}"


def _svg(
    name: str,
    height: float,
    shapes: Iterable[str],
    *,
    label: str,
    tips: Sequence[str],
) -> SafeString:
    return mark_safe(  # noqa: S308 numbers and escaped words only
        f'<svg class="{name}" viewBox="0 0 {WIDTH} {height:g}" role="img"'
        f' aria-label="{escape(label)}" preserveAspectRatio="none"'
        f' data-tips="{escape("|".join(tips))}">{"".join(shapes)}</svg>'
    )
