"""`{% load portal %}`: times and figures in templates, said as `lib.wording` says them.

`ago` and `clock` make a `<time>` whose title is the full moment. What isn't there, None
or the empty text of a missing attribute, is shown as a dash.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from django import template
from django.template.base import FilterExpression, Parser, Token
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from t4g_portal.lib import markdown as marking
from t4g_portal.lib import retelling, wording
from t4g_portal.lib.live import part_of

register = template.Library()
Value = TypeVar("Value")


@register.filter
def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """`{{ at|ago }}`: "4 min ago" or "in 2 h"."""
    if not moment:
        return wording.NOTHING
    return _time(moment, wording.ago(moment, now=now or timezone.now()))


@register.filter
def clock(moment: datetime | None, now: datetime | None = None) -> str:
    """`{{ at|clock }}`: "14:02:10" today, "28 Feb, 14:02" before."""
    if not moment:
        return wording.NOTHING
    return _time(moment, wording.clock(moment, now=now or timezone.now()))


@register.filter
def minute(moment: datetime | None, now: datetime | None = None) -> str:
    """`{{ at|minute }}`: "14:02" today, "28 Feb, 14:02" before."""
    if not moment:
        return wording.NOTHING
    return _time(moment, wording.minute(moment, now=now or timezone.now()))


@register.simple_tag
def span(start: datetime, end: datetime, now: datetime) -> SafeString:
    """`{% span start end now %}`: "28 Feb, 14:02 – 14:05", both in full in the title."""
    return _span(start, end, wording.span(start, end, now=now))


@register.simple_tag
def minute_span(start: datetime, end: datetime, now: datetime) -> SafeString:
    """`{% minute_span start end now %}`: the same, never with seconds."""
    return _span(start, end, wording.minute_span(start, end, now=now))


def _span(start: datetime, end: datetime, text: str) -> SafeString:
    return format_html(
        '<span title="{} – {}">{}</span>',
        wording.absolute(start),
        wording.absolute(end),
        text,
    )


@register.filter
def absolute(moment: datetime | None) -> str:
    """`{{ at|absolute }}`: the full moment as plain text, for a title."""
    return wording.absolute(moment) if moment else wording.NOTHING


@register.filter
def zone(moment: datetime) -> str:
    """`{{ now|zone }}`: the name of the reader's zone at that moment, "CET"."""
    return timezone.localtime(moment).tzname() or ""


@register.filter
def duration(length: float | timedelta | None) -> str:
    """`{{ seconds|duration }}`: "3 min 20 s"."""
    return wording.duration(_known(length))


@register.filter
def ms(value: float | None) -> str:
    """`{{ latency|ms }}`: "420 ms"."""
    return wording.milliseconds(_known(value))


@register.filter
def percent(ratio: float | None, digits: int = 2) -> str:
    """`{{ ratio|percent }}`: "99.95 %", rounded down."""
    return wording.percent(_known(ratio), digits=digits)


@register.filter
def retold(text: str) -> str:
    """`{{ incident.title|retold }}`: a stored sentence in the reader's language."""
    return retelling.retold(text)


@register.filter
def markdown(text: str) -> SafeString:
    """`{{ note|markdown }}`: what somebody wrote, as safe HTML."""
    return marking.to_html(text)


@register.filter
def excerpt(text: str, length: int = 200) -> str:
    """`{{ note|excerpt:200 }}`: its words without the marks, cut."""
    words = marking.to_words(text)
    return words if len(words) <= length else f"{words[: length - 1].rstrip()}…"


class _LiveNode(template.Node):
    """The part, in an element that says what it is known by."""

    def __init__(
        self,
        nodelist: template.NodeList,
        url: FilterExpression,
        every: FilterExpression,
    ) -> None:
        self._nodelist = nodelist
        self._url = url
        self._every = every

    def render(self, context: template.Context) -> SafeString:
        part = part_of(self._nodelist.render(context))
        return format_html(
            '<div class="ops-live" data-live-url="{}" data-live-every="{}"'
            ' data-live-etag="{}" data-live-stale="{}">{}</div>',
            self._url.resolve(context),
            self._every.resolve(context),
            part.etag,
            _("No answer from the portal. As of %s."),
            mark_safe(part.html),  # noqa: S308 rendered by the template
        )


@register.tag
def live(parser: Parser, token: Token) -> template.Node:
    """`{% live url seconds %}…{% endlive %}`: a part that refreshes itself from `url`."""
    try:
        _name, url, every = token.split_contents()
    except ValueError as error:
        raise template.TemplateSyntaxError(
            "live takes an address and a number of seconds"
        ) from error
    nodelist = parser.parse(("endlive",))
    parser.delete_first_token()
    return _LiveNode(nodelist, parser.compile_filter(url), parser.compile_filter(every))


def _known(value: Value) -> Value | None:
    return None if value == "" else value


def _time(moment: datetime, text: str) -> SafeString:
    zone = timezone.get_current_timezone_name()
    return mark_safe(  # noqa: S308 escaped here and below
        f"{_time_begins(moment, zone, get_language())}{escape(text)}</time>"
    )


# A page that refreshes says the same hundreds of moments again.
@lru_cache(maxsize=8192)
def _time_begins(moment: datetime, zone: str, language: str | None) -> SafeString:
    return format_html(
        '<time datetime="{}" title="{}">', moment.isoformat(), wording.absolute(moment)
    )
