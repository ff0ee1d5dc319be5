"""`{% load oncall %}`: places, times and links of the calendar in templates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from incidents.oncall.board import Bar, Place, Turn
from t4g_portal.lib import wording

register = template.Library()
_HOUR = timedelta(hours=1)
_LONG = timedelta(days=35)
_OFFERED = timedelta(days=7)
# Below that the half hours of a total matter to people.
_ROUND_ABOVE = 10


@register.filter
def places(bar: Bar) -> str:
    """`class="{{ bar|places }}"`: where a bar begins and ends, as classes."""
    ends = f"oc-ed{bar.ends.day} oc-eh{bar.ends.hour}"
    return f"{place(bar.begins)} {ends}"


@register.filter
def place(where: Place) -> str:
    """`class="{{ row.now|place }}"`: the same for a moment."""
    return f"oc-d{where.day} oc-h{where.hour}"


@register.filter
def day_and_time(moment: datetime) -> SafeString:
    """`{{ at|day_and_time }}`: "Mon 30 Nov, 09:00" in the reader's zone, as `<time>`."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        wording.absolute(moment),
        said(moment),
    )


def said(moment: datetime) -> str:
    """Say a moment of a plan: weekday, day and time, without the year."""
    return date_format(timezone.localtime(moment), pgettext("moment", "D j M, H:i"))


@register.filter
def told(turn: Turn) -> str:
    """`title="{{ turn|told }}"`: a turn in one sentence."""
    words = {
        "name": turn.name or _("Nobody"),
        "from": said(turn.start),
        "until": said(turn.end),
        "length": wording.duration(turn.length),
        "why": turn.why,
    }
    if turn.is_open:
        return _("%(name)s, from %(from)s on, %(why)s") % words
    if turn.is_gap:
        return _("Nobody, %(from)s – %(until)s (%(length)s)") % words
    return _("%(name)s, %(from)s – %(until)s (%(length)s), %(why)s") % words


@register.filter
def change_url(turn: Turn) -> str:
    """`href="{{ turn|change_url }}"`: the page that puts somebody else there."""
    end = turn.end
    if turn.length > _LONG:
        # Of one that is for good, nobody takes all.
        end = turn.start + _OFFERED
    asked = {
        "schedule": turn.schedule_id,
        "from": turn.start.astimezone(UTC).isoformat(timespec="minutes"),
        "until": end.astimezone(UTC).isoformat(timespec="minutes"),
    }
    return f"{reverse('oncall:change')}?{urlencode(asked)}"


@register.filter
def in_hours(length: timedelta) -> str:
    """`{{ total|in_hours }}`: "168 h", "7.5 h"."""
    hours = round(length / _HOUR, 1)
    digits = 0 if hours >= _ROUND_ABOVE or hours.is_integer() else 1
    return _("%(count)s h") % {"count": number_format(hours, decimal_pos=digits)}
