"""`{% load monitors %}`: figures and pictures of monitors in templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from monitors.pages import drawing
from monitors.pages.headline import phase_names
from monitors.queries.glances import FLAPPING
from monitors.queries.latency import PHASES, Latency
from monitors.queries.listing import STRIP, Row
from monitors.status import Status
from monitors.uptime import DayUptime, Uptime
from t4g_portal.lib import wording
from t4g_portal.lib.badges import badge

register = template.Library()
# As fine as a pixel of the ribbon.
_RIBBON_GRID = timedelta(minutes=10)
_WORDS = {**dict(Status.choices), FLAPPING: gettext_lazy("Flapping")}


@register.filter
def status_badge(status: str) -> SafeString:
    """`{{ status|status_badge }}`: a word, an icon and a color, the same everywhere."""
    known = status if status in _WORDS else str(Status.UNKNOWN)
    return badge(known, str(_WORDS[known]))


@register.filter
def day_bars(days: Sequence[DayUptime]) -> SafeString:
    """`{{ days|day_bars }}`: one bar a day, oldest left."""
    return drawing.day_bars(days)


@register.filter
def day_strip(days: Sequence[DayUptime]) -> SafeString:
    """`{{ days|day_strip }}`: the same for pages with `portal/tips.js`."""
    return drawing.day_strip(days)


@register.filter
def sparkline(values: Sequence[float | None]) -> SafeString:
    """`{{ values|sparkline }}`: a small line with gaps."""
    return drawing.sparkline(values)


@dataclass(frozen=True, slots=True)
class PhaseKey:
    """What a color of the latency picture stands for, with its mean."""

    css: str
    name: str
    ms: float


@register.filter
def phase_keys(latency: Latency) -> list[PhaseKey]:
    """`{{ latency|phase_keys }}`: the phases that happened, in their order."""
    names = phase_names()
    return [
        PhaseKey(css=f"ops-phase-{number}", name=names[phase], ms=mean_ms)
        for number, phase in enumerate(PHASES, start=1)
        if (mean_ms := latency.mean_phases_ms.get(phase, 0)) > 0
    ]


@register.filter
def ribbon(row: Row, now: datetime) -> SafeString:
    """`{{ row|ribbon:now }}`: the last 24 h of a line of the list."""
    end = now - (now - datetime.min.replace(tzinfo=UTC)) % _RIBBON_GRID + _RIBBON_GRID
    return drawing.ribbon(
        intervals=row.strip,
        start=end - STRIP,
        end=end,
        now=now,
        observed_until=row.observed_until,
    )


@register.filter
def uptime(value: Uptime) -> SafeString:
    """`{{ uptime|uptime }}`: "99.95 %" with its formula, and how much was observed."""
    if value.ratio is None:
        return format_html(
            '<span class="ops-soft" title="{}">{}</span>',
            _("Nobody observed it in this time."),
            wording.NOTHING,
        )
    share = format_html(
        '<data class="ops-ink" value="{}" title="{}">{}</data>',
        value.ratio,
        formula(value),
        wording.percent(value.ratio),
    )
    if value.coverage is None or value.coverage >= 1:
        return share
    return format_html(
        '{} <span class="ops-coverage">{}</span>',
        share,
        _("over %(share)s observed")
        % {"share": wording.percent(value.coverage, digits=1)},
    )


@register.filter
def uptime_short(value: Uptime) -> SafeString:
    """`{{ uptime|uptime_short }}`: the same for a column whose head gives the formula."""
    if value.ratio is None:
        return uptime(value)
    return _short(value.ratio, value.coverage, get_language())


# A list of monitors says 100 % many times.
@lru_cache(maxsize=1024)
def _short(ratio: float, coverage: float | None, language: str | None) -> SafeString:
    share = format_html(
        '<data class="ops-ink" value="{}">{}</data>', ratio, wording.percent(ratio)
    )
    if coverage is None or coverage >= 1:
        return share
    covered = wording.percent(coverage, digits=1)
    return format_html(
        '{} <span class="ops-coverage" title="{}">{}</span>',
        share,
        _("Observed %(share)s of the time.") % {"share": covered},
        _("over %(share)s") % {"share": covered},
    )


@register.filter
def p95(row: Row) -> SafeString | str:
    """`{{ row|p95 }}`: the p95 of the last day, with the last latency on hover."""
    if row.spark.p95_ms is None:
        return ""
    last = _("Last: %(last)s") % {"last": wording.milliseconds(row.last_latency_ms)}
    return format_html(
        '<span class="ops-p95">{}<data value="{}" title="{}">{}</data></span>',
        drawing.sparkline(row.spark.hourly_ms),
        f"{row.spark.p95_ms:.4g}",
        last,
        wording.milliseconds(row.spark.p95_ms),
    )


@register.filter
def formula(value: Uptime) -> str:
    """`{{ uptime|formula }}`: how the figure comes about, in words."""
    counted = (
        (Status.UP, value.up_s),
        (Status.DEGRADED, value.degraded_s),
        (Status.DOWN, value.down_s),
    )
    others = (
        (Status.UNKNOWN, value.unknown_s),
        (Status.MAINTENANCE, value.maintenance_s),
        (Status.PAUSED, value.paused_s),
    )
    said = _("(up + degraded) ÷ (up + degraded + down), rounded down: %(lengths)s.") % {
        "lengths": _lengths(counted)
    }
    left_out = _lengths(others)
    if not left_out:
        return said
    return f"{said} {_('Not counted: %(lengths)s.') % {'lengths': left_out}}"


def _lengths(parts: Iterable[tuple[Status, float]]) -> str:
    return ", ".join(
        f"{str(status.label).lower()} {wording.duration(seconds)}"
        for status, seconds in parts
        if seconds >= 1
    )
