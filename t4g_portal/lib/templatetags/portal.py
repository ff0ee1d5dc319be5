"""`{% load portal %}`: times and figures in templates, said as `lib.wording` says them.

`ago` and `clock` make a `<time>` whose title is the full moment. All take None.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from t4g_portal.lib import wording

register = template.Library()


@register.filter
def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """`{{ at|ago }}`: "4 min ago" or "in 2 h"."""
    if moment is None:
        return wording.NOTHING
    return _time(moment, wording.ago(moment, now=now or timezone.now()))


@register.filter
def clock(moment: datetime | None, now: datetime | None = None) -> str:
    """`{{ at|clock }}`: "14:02:10" today, "28 Feb, 14:02" before."""
    if moment is None:
        return wording.NOTHING
    return _time(moment, wording.clock(moment, now=now or timezone.now()))


@register.filter
def absolute(moment: datetime | None) -> str:
    """`{{ at|absolute }}`: the full moment as plain text, for a title."""
    return wording.NOTHING if moment is None else wording.absolute(moment)


@register.filter
def zone(moment: datetime) -> str:
    """`{{ now|zone }}`: the name of the reader's zone at that moment, "CET"."""
    return timezone.localtime(moment).tzname() or ""


@register.filter
def duration(length: float | timedelta | None) -> str:
    """`{{ seconds|duration }}`: "3 min 20 s"."""
    return wording.duration(length)


@register.filter
def ms(value: float | None) -> str:
    """`{{ latency|ms }}`: "420 ms"."""
    return wording.milliseconds(value)


@register.filter
def percent(ratio: float | None, digits: int = 2) -> str:
    """`{{ ratio|percent }}`: "99.95 %", rounded down."""
    return wording.percent(ratio, digits=digits)


def _time(moment: datetime, text: str) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        wording.absolute(moment),
        text,
    )
