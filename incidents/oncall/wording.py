"""What the calendar's reasons and flaws are in words, in the active language and zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.translation import gettext as _

from incidents.oncall.outlook import Flaw, FlawKind, Gap
from incidents.oncall.plan import Why, WhyKind
from t4g_portal.lib.wording import minute_span


def why(reason: Why, *, names: Mapping[int, str]) -> str:
    """Say why somebody, or nobody, is on call: "Weekends", "Override for Ana: dentist"."""
    instead = names.get(reason.instead_of or 0, "")
    sentences = {
        WhyKind.LAYER: reason.label,
        WhyKind.ABSENCE: _("%(rotation)s, instead of %(name)s who is absent")
        % {"rotation": reason.label, "name": instead},
        WhyKind.OVERRIDE: _with_reason(
            _("Override for %(name)s") % {"name": instead}
            if instead
            else _("Override"),
            reason.label,
        ),
        WhyKind.TAKEN: _with_reason(
            _("Taken from %(name)s") % {"name": instead} if instead else _("Taken"),
            reason.label,
        ),
        WhyKind.SWAP: _with_reason(
            _("Swapped with %(name)s") % {"name": instead} if instead else _("Swapped"),
            reason.label,
        ),
        WhyKind.IMPORTED: _("Imported calendar: %(event)s") % {"event": reason.label}
        if reason.label
        else _("Imported calendar"),
        WhyKind.GAP: _("Nobody is planned"),
        WhyKind.UNRECORDED: _("Not recorded"),
    }
    return sentences[reason.kind]


def flaw(
    found: Flaw, *, names: Mapping[int, str], zone: ZoneInfo, now: datetime
) -> str:
    """Say what is wrong, and when."""
    people = [names.get(pk, "") for pk in found.contact_ids]
    with timezone.override(zone):
        when = minute_span(found.start, found.end, now=now)
    if found.kind is FlawKind.OVERLAP:
        return _("%(when)s: both %(one)s and %(other)s; %(one)s is paged.") % {
            "when": when,
            "one": people[0],
            "other": people[1],
        }
    if found.kind is FlawKind.ABSENT:
        return _("%(when)s: %(name)s is absent and nobody stands in.") % {
            "when": when,
            "name": people[0],
        }
    return _("%(when)s: nobody is on call.") % {"when": when}


def gap(found: Gap, *, zone: ZoneInfo, now: datetime) -> str:
    """Say when a schedule would have nobody."""
    with timezone.override(zone):
        when = minute_span(found.start, found.end, now=now)
    return _("%(schedule)s, %(when)s: nobody would be on call.") % {
        "schedule": found.schedule_name,
        "when": when,
    }


def _with_reason(words: str, reason: str) -> str:
    return f"{words}: {reason}" if reason else words
