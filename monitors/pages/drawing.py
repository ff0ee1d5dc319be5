"""Pictures of time as SVG: bars a day, a ribbon of hours, a sparkline. Pure.

Drawn in Python rather than in templates because a page holds thousands of shapes.
Colors come from classes (`is-up`, `is-down`, …), so that dark mode and print decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from monitors.status import Status
from monitors.uptime import DayUptime, Interval, Uptime
from t4g_portal.lib import wording
from t4g_portal.lib.retelling import retold

BAR_WIDTH = 3
BAR_STEP = 4
BAR_HEIGHT = 30
RIBBON_HEIGHT = 20
SPARK_WIDTH = 96
SPARK_HEIGHT = 24

# From the bottom of a bar up, with the least share of its height that trouble may have:
# a minute of outage in a day must be seen.
_LAYERS = (
    (Status.DOWN, 0.45),
    (Status.DEGRADED, 0.4),
    (Status.MAINTENANCE, 0.35),
    (Status.UP, 0.0),
    (Status.UNKNOWN, 0.25),
    (Status.PAUSED, 0.25),
)
# What is left for up, however much trouble there was, unless there was no up at all.
_LEAST_UP = 0.1
# Less of these than this share of a day says nothing.
_NEGLIGIBLE = {Status.UNKNOWN: 0.01, Status.PAUSED: 0.01}
# The least width of an outage on a ribbon, as a share of the whole.
_RIBBON_LEAST = 0.012
# Painted later, so that a short outage is not hidden by its neighbors.
_PAINT_ORDER = {
    Status.UP: 0,
    Status.UNKNOWN: 1,
    Status.PENDING: 1,
    Status.PAUSED: 1,
    Status.MAINTENANCE: 2,
    Status.DEGRADED: 3,
    Status.DOWN: 4,
}


def day_bars(days: Sequence[DayUptime]) -> SafeString:
    """Draw one bar a day, oldest left, each with its figures in a title."""
    shapes: list[str] = []
    for index, day in enumerate(days):
        shapes.append(f"<g><title>{escape(day_title(day))}</title>")
        shapes.extend(_bar(index * BAR_STEP, day.uptime))
        shapes.append("</g>")
    width = len(days) * BAR_STEP - (BAR_STEP - BAR_WIDTH)
    return _svg("ops-bars", width, BAR_HEIGHT, shapes, label=_bars_label(days))


def day_title(day: DayUptime) -> str:
    """Say what a day was: "Mon 2 Mar: 99.95 % up, down 4 min"."""
    uptime = day.uptime
    name = _day_name(day.day, get_language())
    parts = []
    if uptime.ratio is not None:
        parts.append(_("%(share)s up") % {"share": wording.percent(uptime.ratio)})
    for status, seconds in (
        (Status.DOWN, uptime.down_s),
        (Status.DEGRADED, uptime.degraded_s),
        (Status.MAINTENANCE, uptime.maintenance_s),
        (Status.PAUSED, uptime.paused_s),
        (Status.UNKNOWN, uptime.unknown_s),
    ):
        if seconds >= 1:
            length = wording.duration(seconds)
            parts.append(f"{status.label.lower()} {length}")
    return f"{name}: {', '.join(parts) or _('not watched yet')}"


@lru_cache(maxsize=2048)
def _day_name(day: date, language: str | None) -> str:
    """Return "Mon 2 Mar"; a page says each day once a service."""
    return date_format(day, "D j M")


def _bars_label(days: Sequence[DayUptime]) -> str:
    down_count = sum(day.uptime.down_s > 0 for day in days)
    return _("Last %(days)d days, outages on %(count)d of them") % {
        "days": len(days),
        "count": down_count,
    }


def _bar(x: int, uptime: Uptime) -> Iterable[str]:
    heights = _heights(uptime)
    if not heights:
        yield _rect("is-none", x, BAR_HEIGHT - 6, BAR_WIDTH, 6)
        return
    y = float(BAR_HEIGHT)
    for status, height in heights:
        y -= height
        yield _rect(f"is-{status}", x, y, BAR_WIDTH, height)


def _heights(uptime: Uptime) -> list[tuple[Status, float]]:
    """Return the layers of a bar from the bottom up; they fill it together."""
    if not uptime.total_s:
        return []
    shares = {
        status: max(share, least)
        for status, least in _LAYERS
        if (share := getattr(uptime, f"{status}_s") / uptime.total_s)
        > _NEGLIGIBLE.get(status, 0)
    }
    if Status.UP in shares:
        others = sum(shares.values()) - shares[Status.UP]
        shares[Status.UP] = max(1 - others, _LEAST_UP)
    whole = sum(shares.values())
    return [(status, BAR_HEIGHT * share / whole) for status, share in shares.items()]


def ribbon(
    *,
    intervals: Sequence[Interval],
    start: datetime,
    end: datetime,
    observed_until: datetime | None,
) -> SafeString:
    """Draw the ledger between two moments to scale, outages never too thin to see.

    `observed_until`: as in `uptime.measure`.
    """
    span_s = (end - start).total_seconds()
    width = 1000
    shapes = []
    pieces = [
        piece
        for interval in intervals
        for piece in _pieces(interval, end, observed_until)
        if piece[2] > start
    ]
    for status, began, ended, message in sorted(
        pieces, key=lambda piece: _PAINT_ORDER[piece[0]]
    ):
        left = max((began - start).total_seconds(), 0) / span_s * width
        right = (ended - start).total_seconds() / span_s * width
        if status in (Status.DOWN, Status.DEGRADED):
            right = max(right, left + _RIBBON_LEAST * width)
            left, right = left - max(right - width, 0), min(right, width)
        title = ""
        if status != Status.UP:
            title = _piece_title(status, began, ended, message, now=end)
        shapes.append(
            _rect(f"is-{status}", left, 0, right - left, RIBBON_HEIGHT, title=title)
        )
    return _svg("ops-ribbon", width, RIBBON_HEIGHT, shapes, label=_ribbon_label(pieces))


_Piece = tuple[Status, datetime, datetime, str]


def _pieces(
    interval: Interval, end: datetime, observed_until: datetime | None
) -> Iterable[_Piece]:
    status = Status(interval.status)
    if interval.ended_at is not None:
        yield (
            status,
            interval.started_at,
            min(interval.ended_at, end),
            retold(interval.message),
        )
        return
    border = end if observed_until is None else min(observed_until, end)
    border = max(border, interval.started_at)
    if border > interval.started_at:
        yield status, interval.started_at, border, retold(interval.message)
    if border < end:
        yield Status.UNKNOWN, border, end, ""


def _piece_title(
    status: Status, began: datetime, ended: datetime, message: str, *, now: datetime
) -> str:
    said = _("%(status)s from %(start)s to %(end)s, %(length)s") % {
        "status": status.label,
        "start": wording.clock(began, now=now),
        "end": wording.clock(ended, now=now),
        "length": wording.duration(ended - began),
    }
    return f"{said}: {message}" if message else said


def _ribbon_label(pieces: Sequence[_Piece]) -> str:
    down = sum(
        (ended - began for status, began, ended, _m in pieces if status == Status.DOWN),
        timedelta(),
    )
    if not down:
        return _("No outage in this time")
    return _("Down for %(length)s in this time") % {"length": wording.duration(down)}


def sparkline(values: Sequence[float | None]) -> SafeString:
    """Draw some latencies as a line with gaps; empty without two values."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return SafeString("")
    top = max(known) or 1.0
    step = SPARK_WIDTH / (len(values) - 1)
    points = []
    is_drawing = False
    for index, value in enumerate(values):
        if value is None:
            is_drawing = False
            continue
        y = SPARK_HEIGHT - 1 - (SPARK_HEIGHT - 2) * value / top
        points.append(f"{'L' if is_drawing else 'M'}{index * step:.1f} {y:.1f}")
        is_drawing = True
    path = f'<path d="{"".join(points)}"/>'
    label = _("Latency of the last 24 h, at most %(top)s") % {
        "top": wording.milliseconds(top)
    }
    return _svg("ops-spark", SPARK_WIDTH, SPARK_HEIGHT, [path], label=label)


def _rect(
    name: str, x: float, y: float, width: float, height: float, *, title: str = ""
) -> str:
    shape = (
        f'class="{name}" x="{x:g}" y="{y:.4g}" width="{width:g}" height="{height:.4g}"'
    )
    if not title:
        return f"<rect {shape}/>"
    return f"<rect {shape}><title>{escape(title)}</title></rect>"


def _svg(
    name: str, width: float, height: float, shapes: Iterable[str], *, label: str
) -> SafeString:
    return mark_safe(  # noqa: S308 numbers and escaped titles only
        f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}" role="img"'
        f' aria-label="{escape(label)}" preserveAspectRatio="none">'
        f"{''.join(shapes)}</svg>"
    )
