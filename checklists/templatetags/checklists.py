"""`{% load checklists %}`: states, names and hashes of checklists in templates."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from checklists.models import ChecklistRun, RunItem, SignOff
from checklists.showing import lines, run_page, states
from checklists.showing.lines import Line
from t4g_portal.lib.badges import badge, icons

register = template.Library()


@register.filter
def look_badge(look: str, word: str) -> SafeString:
    """`{{ look|look_badge:word }}`: a word, an icon and a color, as those of monitors."""
    return badge(look, str(word))


@register.filter
def look_icon(look: str) -> SafeString:
    """`{{ look|look_icon }}`: the icon alone, where words stand beside it."""
    return format_html(
        '<svg class="ops-icon cl-icon is-{0}" aria-hidden="true">'
        '<use href="{1}#{0}"/></svg>',
        look,
        icons(),
    )


@register.filter
def line_badge(line: Line) -> SafeString:
    """`{{ line|line_badge }}`: how an item stands."""
    return look_badge(line.look, line.word)


@register.filter
def line_icon(line: Line) -> SafeString:
    """`{{ line|line_icon }}`: how an item stands, where there is no room for the word."""
    return format_html(
        '<span class="ops-status is-{0}" title="{2}"><svg class="ops-icon"'
        ' aria-hidden="true"><use href="{1}#{0}"/></svg>'
        '<span class="ops-hidden">{2}</span></span>',
        line.look,
        icons(),
        line.word,
    )


@register.filter
def ended_badge(run: ChecklistRun) -> SafeString:
    """`{{ run|ended_badge }}`: how a past run ended."""
    return look_badge(states.ENDED_LOOKS[run.state], run.get_state_display())


@register.filter
def signature_badge(sign_off: SignOff) -> SafeString:
    """`{{ sign_off|signature_badge }}`: what somebody said by signing."""
    look = "maintenance" if sign_off.meaning == SignOff.Meaning.WAIVED else "up"
    if sign_off.revoked_at is not None:
        look = "paused"
    return look_badge(look, sign_off.get_meaning_display())


@register.filter
def verdict_look(verdict: str) -> str:
    """`{{ evidence.verdict|verdict_look }}`: its look; none for what says none."""
    return states.VERDICT_LOOKS.get(verdict, "")


@register.filter
def short_sha(sha: str) -> str:
    """`{{ run.git_sha|short_sha }}`: as much as people compare."""
    return states.short(sha)


@register.filter
def name_of(run: ChecklistRun) -> str:
    """`{{ run|name_of }}`: what a run is called in the reader's language."""
    return run_page.name_of(run)


@register.filter
def title_of(item: RunItem) -> str:
    """`{{ item|title_of }}`: what an item is called in the reader's language."""
    return lines.title_of(item)


@register.filter
def utc(moment: datetime) -> str:
    """`{{ signed_at|utc }}`: the moment that everybody compares, "2026-03-02 09:00:14 UTC"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
