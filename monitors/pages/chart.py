"""The latency picture: phases stacked, p95 as a line, gaps as gaps. Pure.

Drawn in a box that is stretched to the page's width, so words stand outside of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from monitors.pages.headline import phase_names
from monitors.queries.latency import PHASES, Bin, Latency
from t4g_portal.lib import wording

WIDTH = 1000
HEIGHT = 220
# Stretches between the words below; each is a round length of time.
_TICK_COUNTS = {1: 4, 7: 7, 30: 6, 90: 6}
_FOOT = 5
# A bound further away than that from what was measured would flatten the picture.
_FAR = 1.25
# What the top of an axis may be, times a power of ten.
_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment worth a thin line: an incident began."""

    at: datetime
    title: str
    url: str


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
    *, latency: Latency, marks: Sequence[Mark], bounds: Sequence[Bound]
) -> Chart | None:
    """Draw latencies; None when nothing was measured."""
    drawn = [line for line in latency.bins if line.quantiles is not None]
    if not drawn:
        return None
    top = _top(drawn, bounds)
    scale = _Scale(latency, top)
    shapes = [
        *_failures(latency.bins, scale),
        *_phases(drawn, scale),
        *_p95(drawn, scale),
        *(_bound(bound, scale) for bound in bounds if bound.ms <= top),
        *_titles(latency, scale),
        *(_mark(mark, scale) for mark in marks if mark.at >= latency.start),
    ]
    label = _("Latency from %(start)s to %(end)s") % {
        "start": wording.absolute(latency.start),
        "end": wording.absolute(latency.end),
    }
    svg = mark_safe(  # noqa: S308 numbers and escaped words only
        f'<svg class="ops-chart-picture" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' aria-label="{escape(label)}" preserveAspectRatio="none">'
        f"{''.join(shapes)}</svg>"
    )
    return Chart(
        svg=svg,
        y_labels=[_axis_label(top), _axis_label(top / 2), "0"],
        x_labels=_x_labels(latency),
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


def _p95(drawn: Sequence[Bin], scale: _Scale) -> Iterable[str]:
    """A line through the middles of the bins, broken where one is missing."""
    points = []
    before: Bin | None = None
    for line in drawn:
        if line.quantiles is None:
            continue
        x = scale.x(line.start) + scale.bin_width * 0.43
        y = HEIGHT - scale.height(line.quantiles.p95_ms)
        is_next = before is not None and (
            scale.x(line.start) - scale.x(before.start) < scale.bin_width * 1.5
        )
        points.append(f"{'L' if is_next else 'M'}{x:.1f} {y:.1f}")
        before = line
    yield f'<path class="ops-p95-line" d="{"".join(points)}"/>'


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
        f'<a href="{escape(mark.url)}" class="ops-mark">'
        f"<title>{escape(mark.title)}</title>"
        f'<rect x="{x - 5:g}" y="0" width="10" height="{HEIGHT}"/>'
        f'<path d="M{x:g} 0V{HEIGHT}"/></a>'
    )


def _titles(latency: Latency, scale: _Scale) -> Iterable[str]:
    """Invisible boxes over the bins that say their figures."""
    for line in latency.bins:
        title = _bin_title(line, latency.bin_width)
        yield (
            f'<rect class="ops-hover" x="{scale.x(line.start):g}" y="0"'
            f' width="{scale.bin_width:.2f}" height="{HEIGHT}">'
            f"<title>{escape(title)}</title></rect>"
        )


def _bin_title(line: Bin, width: timedelta) -> str:
    start = timezone.localtime(line.start)
    end = timezone.localtime(line.start + width)
    lines = [f"{date_format(start, 'j M, H:i')} – {date_format(end, 'H:i')}"]
    if line.quantiles is not None:
        lines.append(
            _("median %(p50)s, p95 %(p95)s, p99 %(p99)s")
            % {
                "p50": wording.milliseconds(line.quantiles.p50_ms),
                "p95": wording.milliseconds(line.quantiles.p95_ms),
                "p99": wording.milliseconds(line.quantiles.p99_ms),
            }
        )
        names = phase_names()
        lines += [
            f"{names[phase]} {wording.milliseconds(value)}"
            for phase, value in line.phases_ms.items()
            if value
        ]
    lines.append(
        _("%(passed)d passed, %(failed)d failed")
        % {"passed": line.passed_count, "failed": line.failed_count}
    )
    return "\n".join(lines)


def _axis_label(ms: float) -> str:
    if ms < 1000:
        return f"{ms:g}\u00a0{_('ms')}"
    return f"{number_format(f'{ms / 1000:g}')}\u00a0{_('s')}"


def _x_labels(latency: Latency) -> list[str]:
    length = latency.end - latency.start
    count = _TICK_COUNTS[length.days]
    form = "H:i" if length.days == 1 else "j M"
    return [
        date_format(timezone.localtime(latency.start + length * step / count), form)
        for step in range(count + 1)
    ]
