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
    words = {"rotation": reason.label, "event": reason.label}
    words["name"] = names.get(reason.instead_of or 0, "")
    match reason.kind:
        case WhyKind.LAYER:
            return reason.label
        case WhyKind.ABSENCE:
            return _("%(rotation)s, instead of %(name)s who is absent") % words
        case WhyKind.IMPORTED if reason.label:
            return _("Imported calendar: %(event)s") % words
        case WhyKind.IMPORTED:
            return _("Imported calendar")
        case WhyKind.GAP:
            return _("Nobody is planned")
        case WhyKind.UNRECORDED:
            return _("Not recorded")
        case WhyKind.OVERRIDE:
            said = _("Override for %(name)s") if words["name"] else _("Override")
        case WhyKind.TAKEN:
            said = _("Taken from %(name)s") if words["name"] else _("Taken")
        case WhyKind.SWAP:
            said = _("Swapped with %(name)s") if words["name"] else _("Swapped")
    said %= words
    return f"{said}: {reason.label}" if reason.label else said


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
