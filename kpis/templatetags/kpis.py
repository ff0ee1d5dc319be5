"""`{% load kpis %}`: cards of KPIs in templates."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from kpis.showing import drawing, sentences
from kpis.showing.card import Card
from kpis.showing.comparing import Progress, Tone
from kpis.showing.standing import Freshness
from t4g_portal.lib.badges import badge

register = template.Library()
_ARROWS = {1: "▲", -1: "▼", 0: ""}


@register.filter
def standing_badge(card: Card) -> SafeString:
    """`{{ card|standing_badge }}`: a word, an icon and a color, as those of monitors."""
    return badge(card.look, card.word)


@register.filter
def spark(card: Card) -> SafeString:
    """`{{ card|spark }}`: the last complete periods."""
    return drawing.sparkline(
        card.spark,
        label=_("The last %(count)d periods") % {"count": len(card.spark)},
    )


@register.filter
def change(card: Card) -> SafeString:
    """`{{ card|change }}`: arrow, size, and whether it is good news, in words too."""
    change = card.change
    size = sentences.size_of_change(card.of, change)
    why_not = sentences.why_no_change(change)
    if change.difference is None:
        return format_html(
            '<span class="kpi-delta" title="{}">{}</span>', why_not, size
        )
    way = (change.difference > 0) - (change.difference < 0)
    news = {Tone.GOOD: _("better"), Tone.BAD: _("worse")}.get(change.tone, "")
    return format_html(
        '<span class="kpi-delta is-{}" title="{}"><span aria-hidden="true">{}</span>'
        ' {}<span class="ops-hidden"> {}</span></span>',
        change.tone,
        why_not,
        _ARROWS[way],
        size,
        news,
    )


@register.filter
def against(card: Card) -> str:
    """`{{ card|against }}`: "against the day before"."""
    return sentences.against(card)


@register.filter
def distance(card: Card) -> str:
    """`{{ card|distance }}`: "92 % of 1,340 users"."""
    return sentences.distance(card.of, card.progress) if card.progress else ""


@register.filter
def bar(progress: Progress) -> SafeString:
    """`{{ card.progress|bar }}`: how much of the target is reached, as a bar."""
    if progress.ratio is None:
        return SafeString("")
    filled = min(max(progress.ratio, 0.0), 1.0) * 100
    state = "even"
    if progress.is_reached is not None:
        state = "good" if progress.is_reached else "bad"
    return format_html(
        '<svg class="kpi-bar is-{}" viewBox="0 0 100 4" preserveAspectRatio="none"'
        ' aria-hidden="true"><rect class="kpi-bar-all" width="100" height="4"/>'
        '<rect class="kpi-bar-part" width="{}" height="4"/></svg>',
        state,
        f"{filled:.1f}",
    )


@register.filter
def doubt(card: Card) -> str:
    """`{{ card|doubt }}`: why the value can't be believed, or nothing."""
    # Where there is no value at all, the card says so already.
    is_said = card.figure is None and card.freshness == Freshness.OFF
    return "" if is_said else sentences.doubt(card)


@register.filter
def running(card: Card) -> str:
    """`{{ card|running }}`: how the period that is not over comes on."""
    return sentences.running(card, is_short=True)


@register.filter
def nothing(card: Card) -> str:
    """`{{ card|nothing }}`: why there is no value at all."""
    return sentences.nothing_known(card)


@register.filter
def look_reason(card: Card) -> str:
    """`{{ card|look_reason }}`: why it is among those to look at first."""
    return sentences.reason(card)
