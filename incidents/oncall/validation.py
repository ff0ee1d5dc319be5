"""What schedules, rotations and stretches of time may hold; admin, API and import ask it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from incidents.models.schedule import MAX_NOTICE_S, weekdays
from notifications.validation import url_problem, validate_time_zone
from t4g_portal.lib.faults import Fault

# A year of the unit, which is longer than anybody's turn.
_LONGEST = {"hour": 8784, "day": 366, "week": 52}
MAX_SEATS = 100


def schedule_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check a schedule as it would become."""
    zone = validate_time_zone(time_zone=values.get("time_zone", ""))
    if not values.get("time_zone"):
        zone = {"time_zone": _("Enter a time zone such as Europe/Paris.")}
    for field, message in zone.items():
        yield Fault(field, message)
    if (values.get("handoff_notice_s") or 0) > MAX_NOTICE_S:
        yield Fault("handoff_notice_s", _("Two weeks (1209600 s) are the longest."))
    problem = url_problem(values.get("ical_url") or "")
    if problem:
        yield Fault("ical_url", problem)


def rotation_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check a rotation as it would become."""
    length, unit = values.get("length"), values.get("unit", "")
    if length is not None and not 1 <= length <= _LONGEST.get(unit, 1):
        yield Fault(
            "length",
            _("Enter 1 to %(most)d for this unit.") % {"most": _LONGEST.get(unit, 1)},
        )
    starts_on, ends_on = values.get("starts_on"), values.get("ends_on")
    if starts_on is not None and ends_on is not None and ends_on <= starts_on:
        yield Fault("ends_on", _("It would end before it begins. Choose a later day."))
    opens, until = values.get("only_from"), values.get("only_until")
    if (opens is None) != (until is None):
        empty = "only_from" if opens is None else "only_until"
        yield Fault(empty, _("Enter both ends of the hours, or neither."))
    elif opens is not None and opens == until:
        yield Fault(
            "only_until", _("These hours have no length. Leave both empty for all day.")
        )
    unknown = set(values.get("only_weekdays") or ()) - set(dict(weekdays()))
    if unknown:
        yield Fault(
            "only_weekdays",
            _("%(day)s is no weekday. Known are: %(known)s.")
            % {"day": min(unknown), "known": ", ".join(dict(weekdays()))},
        )


def span_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check that a stretch of time has a length."""
    starts_at, ends_at = values.get("starts_at"), values.get("ends_at")
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        yield Fault(
            "ends_at", _("The end is not after the beginning. Choose a later end.")
        )


def seat_faults(contacts: Collection[Any]) -> Iterator[Fault]:
    """Check the seats of a rotation."""
    if len(contacts) > MAX_SEATS:
        yield Fault("participants", _("At most %(most)d seats.") % {"most": MAX_SEATS})
