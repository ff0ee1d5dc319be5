"""`{% load monitors %}`: figures and pictures of monitors in templates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from monitors import drawing
from monitors.queries.listing import STRIP, Row
from monitors.uptime import DayUptime, Uptime
from t4g_portal.lib import wording

register = template.Library()


@register.filter
def day_bars(days: Sequence[DayUptime]) -> SafeString:
    """`{{ days|day_bars }}`: one bar a day, oldest left."""
    return drawing.day_bars(days)


@register.filter
def sparkline(values: Sequence[float | None]) -> SafeString:
    """`{{ values|sparkline }}`: a small line with gaps."""
    return drawing.sparkline(values)


@register.filter
def ribbon(row: Row, now: datetime) -> SafeString:
    """`{{ row|ribbon:now }}`: the last 24 h of a line of the list."""
    return drawing.ribbon(
        intervals=row.strip,
        start=now - STRIP,
        end=now,
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
        '<span class="ops-ink" title="{}">{}</span>',
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
    """`{{ uptime|uptime_short }}`: the same for a narrow column."""
    if value.ratio is None:
        return uptime(value)
    share = format_html(
        '<span class="ops-ink" title="{}">{}</span>',
        formula(value),
        wording.percent(value.ratio),
    )
    if value.coverage is None or value.coverage >= 1:
        return share
    covered = wording.percent(value.coverage, digits=1)
    return format_html(
        '{} <span class="ops-coverage" title="{}">{}</span>',
        share,
        _("Observed %(share)s of the time.") % {"share": covered},
        _("over %(share)s") % {"share": covered},
    )


@register.filter
def formula(value: Uptime) -> str:
    """`{{ uptime|formula }}`: how the figure comes about, in words."""
    return _(
        "(up %(up)s + degraded %(degraded)s) ÷ (up + degraded + down %(down)s),"
        " rounded down. Not counted: unknown %(unknown)s, maintenance %(maintenance)s."
    ) % {
        "up": wording.duration(value.up_s),
        "degraded": wording.duration(value.degraded_s),
        "down": wording.duration(value.down_s),
        "unknown": wording.duration(value.unknown_s),
        "maintenance": wording.duration(value.maintenance_s),
    }
