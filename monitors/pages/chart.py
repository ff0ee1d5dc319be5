"""The latency picture: phases stacked, percentiles as lines, gaps as gaps. Pure.

Drawn in a box that is stretched to the page's width, so words stand outside of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from monitors.pages.headline import phase_names
from monitors.queries.latency import PHASES, Bin, Latency
from t4g_portal.lib import wording

WIDTH = 1000
HEIGHT = 220
# Stretches between the words below; each is a round length of time.
_TICK_COUNTS = {"24h": 4, "7d": 7, "30d": 6, "90d": 6, "1y": 5}
_CUSTOM_TICK_COUNT = 4
# A day has hours below it, more has days.
_SHORT = timedelta(days=2)
# The highest p99s may leave the picture rather than flatten it.
_P99_SHARE = 1.2
_LINES = ("p50", "p95", "p99")
_FOOT = 5
# A bound further away than that from what was measured would flatten the picture.
_FAR = 1.25
# What the top of an axis may be, times a power of ten.
_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth a thin line: an incident began, something was deployed."""

    at: datetime
    title: str
    url: str
    kind: str = "incident"


@dataclass(frozen=True, slots=True)
class Bound:
    """A threshold on the latency. `level`: "warning" or "critical"."""

    level: str
    ms: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The picture and the words around it."""

    svg: SafeString
    # From the top down, and from left to right.
    y_labels: list[str]
    x_labels: list[str]


def latency_chart(
    *,
    latency: Latency,
    marks: Sequence[Mark],
    bounds: Sequence[Bound],
    reach: str = "24h",
) -> Chart | None:
    """Draw latencies; None when nothing was measured. `reach`: a `Reach.key`."""
    drawn = [line for line in latency.bins if line.quantiles is not None]
    if not drawn:
        return None
    top = _top(drawn, bounds)
    scale = _Scale(latency, top)
    shapes = [
        *_failures(latency.bins, scale),
        *_phases(drawn, scale),
        *(_line(name, drawn, scale) for name in _LINES),
        *(_bound(bound, scale) for bound in bounds if bound.ms <= top),
        *(
            _mark(mark, scale)
            for mark in marks
            if latency.start <= mark.at < latency.end
        ),
    ]
    label = _("Latency from %(start)s to %(end)s") % {
        "start": wording.absolute(latency.start),
        "end": wording.absolute(latency.end),
    }
    svg = mark_safe(  # noqa: S308 numbers and escaped words only
        f'<svg class="ops-chart-picture" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(label)}" preserveAspectRatio="none"'
        f' data-tips="{escape("|".join(_tips(latency)))}">'
        f"{''.join(shapes)}</svg>"
    )
    return Chart(
        svg=svg,
        y_labels=[_axis_label(top), _axis_label(top / 2), "0"],
        x_labels=_x_labels(latency, reach),
    )


class _Scale:
    """From time and milliseconds to the picture's units."""

    def __init__(self, latency: Latency, top_ms: float) -> None:
        self._start = latency.start
        self._span_s = (latency.end - latency.start).total_seconds()
        self._top_ms = top_ms
        self.bin_width = latency.bin_width.total_seconds() / self._span_s * WIDTH

    def x(self, at: datetime) -> float:
        return round((at - self._start).total_seconds() / self._span_s * WIDTH, 1)

    def height(self, ms: float) -> float:
        return round(min(ms / self._top_ms, 1) * HEIGHT, 1)


def _top(drawn: Sequence[Bin], bounds: Sequence[Bound]) -> float:
    """Return the round number that the axis reaches up to, in milliseconds."""
    measured = max(
        max(line.quantiles.p95_ms if line.quantiles else 0, _total(line))
        for line in drawn
    )
    highest = max(line.quantiles.p99_ms if line.quantiles else 0 for line in drawn)
    measured = max(measured, min(highest, measured * _P99_SHARE))
    near = [bound.ms for bound in bounds if bound.ms <= measured * _FAR]
    wanted = max([measured, *near, 0.001]) * 1.02
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in _STEPS if step * power >= wanted)


def _total(line: Bin) -> float:
    return sum(line.phases_ms.values())


def _phases(drawn: Sequence[Bin], scale: _Scale) -> Iterable[str]:
    """One path a phase, made of a box a bin."""
    width = round(scale.bin_width * 0.86, 2)
    bottoms = dict.fromkeys((line.start for line in drawn), float(HEIGHT))
    for number, phase in enumerate(PHASES, start=1):
        boxes = []
        for line in drawn:
            height = scale.height(line.phases_ms.get(phase, 0))
            if height <= 0:
                continue
            y = bottoms[line.start] - height
            bottoms[line.start] = y
            boxes.append(
                f"M{scale.x(line.start):g} {y:.1f}h{width:g}v{height:g}h-{width:g}z"
            )
        if boxes:
            yield f'<path class="ops-phase-{number}" d="{"".join(boxes)}"/>'


def _line(name: str, drawn: Sequence[Bin], scale: _Scale) -> str:
    """A percentile through the middles of the bins, broken where one is missing."""
    points = []
    before: Bin | None = None
    for line in drawn:
        if line.quantiles is None:
            continue
        x = scale.x(line.start) + scale.bin_width * 0.43
        y = HEIGHT - scale.height(getattr(line.quantiles, f"{name}_ms"))
        is_next = before is not None and (
            scale.x(line.start) - scale.x(before.start) < scale.bin_width * 1.5
        )
        points.append(f"{'L' if is_next else 'M'}{x:.1f} {y:.1f}")
        before = line
    return f'<path class="ops-{name}-line" d="{"".join(points)}"/>'


def _failures(bins: Sequence[Bin], scale: _Scale) -> Iterable[str]:
    for line in bins:
        if line.failed_count:
            x, width = scale.x(line.start), scale.bin_width
            yield (
                f'<rect class="ops-failed" x="{x:g}" y="0" width="{width:.2f}"'
                f' height="{HEIGHT}"/>'
                f'<rect class="is-down ops-foot" x="{x:g}" y="{HEIGHT - _FOOT}"'
                f' width="{width:.2f}" height="{_FOOT}"/>'
            )


def _bound(bound: Bound, scale: _Scale) -> str:
    y = HEIGHT - scale.height(bound.ms)
    return f'<path class="ops-bound ops-bound-{bound.level}" d="M0 {y:g}H{WIDTH}"/>'


def _mark(mark: Mark, scale: _Scale) -> str:
    x = scale.x(mark.at)
    return (
        f'<a href="{escape(mark.url)}" class="ops-mark ops-mark-{mark.kind}">'
        f"<title>{escape(mark.title)}</title>"
        f'<rect x="{x - 5:g}" y="0" width="10" height="{HEIGHT}"/>'
        f'<path d="M{x:g} 0V{HEIGHT}"/></a>'
    )


def _tips(latency: Latency) -> Iterable[str]:
    """Say the figures of each bin, for `portal/tips.js`; one without any says so."""
    measured = {line.start: line for line in latency.bins}
    words = _TipWords()
    start = latency.start
    while start < latency.end:
        end = min(start + latency.bin_width, latency.end)
        yield words.tip(start, end, measured.get(start))
        start += latency.bin_width


class _TipWords:
    """The words of all tips, looked up once."""

    def __init__(self) -> None:
        self._quantiles = _("median %(p50)s, p95 %(p95)s, p99 %(p99)s")
        self._counts = _("%(passed)d passed, %(failed)d failed")
        self._nothing = _("no result")
        self._phases = phase_names()
        self._days: dict[date, str] = {}

    def tip(self, start: datetime, end: datetime, line: Bin | None) -> str:
        when = self._when(timezone.localtime(start), timezone.localtime(end))
        if line is None:
            return f"{when}: {self._nothing}"
        parts = []
        if line.quantiles is not None:
            say = wording.milliseconds
            parts.append(
                self._quantiles
                % {
                    "p50": say(line.quantiles.p50_ms),
                    "p95": say(line.quantiles.p95_ms),
                    "p99": say(line.quantiles.p99_ms),
                }
            )
            parts.append(
                ", ".join(
                    f"{self._phases[phase]} {say(value)}"
                    for phase, value in line.phases_ms.items()
                    if value
                )
            )
        parts.append(
            self._counts % {"passed": line.passed_count, "failed": line.failed_count}
        )
        return f"{when}: {' · '.join(parts)}"

    def _when(self, start: datetime, end: datetime) -> str:
        """Return "2 Mar, 14:00 – 14:10", or "2 Mar – 4 Mar" from midnight to midnight."""
        first, last = self._day(start.date()), self._day(end.date())
        if end - start >= timedelta(days=1):
            return f"{first} – {last}"
        until = f"{end:%H:%M}" if first == last else f"{last}, {end:%H:%M}"
        return f"{first}, {start:%H:%M} – {until}"

    def _day(self, day: date) -> str:
        if day not in self._days:
            self._days[day] = date_format(day, pgettext("date", "j M"))
        return self._days[day]


def _axis_label(ms: float) -> str:
    if ms < 1000:
        return f"{ms:g}\u00a0{_('ms')}"
    return f"{number_format(f'{ms / 1000:g}')}\u00a0{_('s')}"


def _x_labels(latency: Latency, reach: str) -> list[str]:
    length = latency.end - latency.start
    count = _TICK_COUNTS.get(reach, _CUSTOM_TICK_COUNT)
    # A day of one's own choice says which.
    of_day = "H:i" if reach in _TICK_COUNTS else pgettext("date", "j M, H:i")
    form = pgettext("date", "j M") if length > _SHORT else of_day
    return [
        date_format(timezone.localtime(latency.start + length * step / count), form)
        for step in range(count + 1)
    ]
