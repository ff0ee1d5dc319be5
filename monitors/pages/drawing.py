"""Pictures of time as SVG: bars a day, a ribbon of hours, a sparkline. Pure.

Drawn in Python rather than in templates because a page holds thousands of shapes.
Colors come from classes (`is-up`, `is-down`, …), so that dark mode and print decide.
Moments are put on a grid as fine as the eye: a picture that looks the same is the same
text, and is not sent again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

from django.utils.formats import date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, pgettext
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
_RIBBON_WIDTH = 1000
# The least width of an outage on a ribbon.
_RIBBON_LEAST = 12
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


def day_strip(days: Sequence[DayUptime]) -> SafeString:
    """Draw the same in a fifth of the text: a path a status, the words for a script.

    `portal/tips.js` shows the words of a day to a mouse, a finger and a keyboard.
    """
    paths: defaultdict[str, list[str]] = defaultdict(list)
    for index, day in enumerate(days):
        for name, top, height in _layers(day.uptime):
            paths[name].append(
                f"M{index * BAR_STEP} {top:g}h{BAR_WIDTH}v{height:g}h-{BAR_WIDTH}z"
            )
    width = len(days) * BAR_STEP - (BAR_STEP - BAR_WIDTH)
    language = get_language()
    return _svg(
        "ops-bars",
        width,
        BAR_HEIGHT,
        [f'<path class="{name}" d="{"".join(d)}"/>' for name, d in paths.items()],
        label=_bars_label(days),
        tips=[
            *(_day_title(day, language) for day in days[:-1]),
            # Today lasts: its lengths tick by the minute.
            *(_day_title(day, language, is_coarse=True) for day in days[-1:]),
        ],
    )


def day_title(day: DayUptime) -> str:
    """Say what a day was: "Mon 2 Mar: 99.95 % up, down 4 min"."""
    return _day_title(day, get_language())


# A page says 90 days of each service; what they were does not change.
@lru_cache(maxsize=16_384)
def _day_title(day: DayUptime, language: str | None, *, is_coarse: bool = False) -> str:
    uptime = day.uptime
    name = _day_name(day.day, language)
    parts = []
    # While trouble lasts, its share of the day ticks: the figure beside the bars says it.
    if uptime.ratio is not None and (uptime.ratio == 1 or not is_coarse):
        parts.append(_("%(share)s up") % {"share": wording.percent(uptime.ratio)})
    for status, seconds in (
        (Status.DOWN, uptime.down_s),
        (Status.DEGRADED, uptime.degraded_s),
        (Status.MAINTENANCE, uptime.maintenance_s),
        (Status.PAUSED, uptime.paused_s),
        (Status.UNKNOWN, uptime.unknown_s),
    ):
        if seconds >= 1:
            length = wording.duration(_coarse(seconds) if is_coarse else seconds)
            parts.append(f"{status.label.lower()} {length}")
    return f"{name}: {', '.join(parts) or _('not watched yet')}"


@lru_cache(maxsize=2048)
def _day_name(day: date, language: str | None) -> str:
    """Return "Mon 2 Mar"; a page says each day once a service."""
    return date_format(day, pgettext("date", "D j M"))


def _bars_label(days: Sequence[DayUptime]) -> str:
    down_count = sum(day.uptime.down_s > 0 for day in days)
    return _("Last %(days)d days, outages on %(count)d of them") % {
        "days": len(days),
        "count": down_count,
    }


def _bar(x: int, uptime: Uptime) -> Iterable[str]:
    for name, top, height in _layers(uptime):
        yield _rect(name, x, top, BAR_WIDTH, height)


@lru_cache(maxsize=16_384)
def _layers(uptime: Uptime) -> list[tuple[str, float, float]]:
    """Return the boxes of a bar: their class, top and height, to a quarter of a unit."""
    heights = _heights(uptime)
    if not heights:
        return [("is-none", BAR_HEIGHT - 6, 6)]
    boxes = []
    y = float(BAR_HEIGHT)
    for status, height in heights:
        top = round((y - height) * 4) / 4
        boxes.append((f"is-{status}", top, round((y - top) * 4) / 4))
        y = top
    return boxes


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
    now: datetime,
    observed_until: datetime | None,
) -> SafeString:
    """Draw the ledger between two moments to scale, outages never too thin to see.

    What lasts is drawn up to `end`, which may lie a little after `now`, so that the
    picture stands still in between. `observed_until`: as in `uptime.measure`.
    """
    unit_s = (end - start).total_seconds() / _RIBBON_WIDTH
    pieces = [
        piece
        for interval in intervals
        for piece in _pieces(interval, now, observed_until)
        if piece.ended_at is None or piece.ended_at > start
    ]
    shapes = []
    for piece in sorted(pieces, key=lambda piece: _PAINT_ORDER[piece.status]):
        left = round(max((piece.began_at - start).total_seconds(), 0) / unit_s)
        right = round(((piece.ended_at or end) - start).total_seconds() / unit_s)
        if piece.status in (Status.DOWN, Status.DEGRADED):
            right = max(right, left + _RIBBON_LEAST)
            left, right = (
                left - max(right - _RIBBON_WIDTH, 0),
                min(right, _RIBBON_WIDTH),
            )
        if right > left:
            title = "" if piece.status == Status.UP else _piece_title(piece, now)
            name = f"is-{piece.status}"
            shapes.append(
                _rect(name, left, 0, right - left, RIBBON_HEIGHT, title=title)
            )
    label = _ribbon_label(pieces, now)
    return _svg("ops-ribbon", _RIBBON_WIDTH, RIBBON_HEIGHT, shapes, label=label)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch of a ribbon; without an end it lasts."""

    status: Status
    began_at: datetime
    ended_at: datetime | None
    message: str


def _pieces(
    interval: Interval, now: datetime, observed_until: datetime | None
) -> Iterable[_Piece]:
    status = Status(interval.status)
    began, ended = interval.started_at, interval.ended_at
    if ended is not None or observed_until is None or observed_until >= now:
        yield _Piece(status, began, ended, retold(interval.message))
        return
    border = max(observed_until, began)
    if border > began:
        yield _Piece(status, began, border, retold(interval.message))
    yield _Piece(Status.UNKNOWN, border, None, "")


def _piece_title(piece: _Piece, now: datetime) -> str:
    words = {
        "status": piece.status.label,
        "start": wording.clock(piece.began_at, now=now),
    }
    if piece.ended_at is None:
        said = _("%(status)s since %(start)s") % words
    else:
        said = _("%(status)s from %(start)s to %(end)s, %(length)s") % {
            **words,
            "end": wording.clock(piece.ended_at, now=now),
            "length": wording.duration(piece.ended_at - piece.began_at),
        }
    if not piece.message:
        return said
    return _("%(said)s: %(why)s") % {"said": said, "why": piece.message}


def _ribbon_label(pieces: Sequence[_Piece], now: datetime) -> str:
    down = sum(
        (
            (piece.ended_at or now) - piece.began_at
            for piece in pieces
            if piece.status == Status.DOWN
        ),
        timedelta(),
    )
    if not down:
        return _("No outage in this time")
    length = wording.duration(_coarse(down.total_seconds()))
    return _("Down for %(length)s in this time") % {"length": length}


def _coarse(seconds: float) -> float:
    """Whole minutes after the first one, for what is not over yet."""
    return seconds - seconds % 60 if seconds >= 60 else seconds


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
    name: str,
    width: float,
    height: float,
    shapes: Iterable[str],
    *,
    label: str,
    tips: Sequence[str] = (),
) -> SafeString:
    told = f' data-tips="{escape("|".join(tips))}"' if tips else ""
    return mark_safe(  # noqa: S308 numbers and escaped titles only
        f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}" role="img"'
        f' aria-label="{escape(label)}" preserveAspectRatio="none"{told}>'
        f"{''.join(shapes)}</svg>"
    )
