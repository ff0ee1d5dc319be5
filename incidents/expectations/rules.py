"""What an expectation may hold; admin, API, page and import ask it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from incidents.models import ReachExpectation
from incidents.models.expectation import MAX_WITHIN_S, MIN_WITHIN_S
from notifications.validation import validate_time_zone
from t4g_portal.lib.faults import Fault
from t4g_portal.lib.zones import YEARS

_Occasion = ReachExpectation.Occasion


def expectation_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check an expectation as it would become."""
    if (values.get("service") is None) == (values.get("policy") is None):
        yield Fault("service", _("Choose a service or an escalation policy, not both."))
    yield from _occasion_faults(values)
    named = [name for name in ReachExpectation.WHOM if values.get(name) is not None]
    if len(named) > 1:
        why = _("Choose one: a person, a schedule, a team or a channel.")
        yield Fault(named[1], why)
    if values.get("channel") is not None and values.get("method"):
        yield Fault("method", _("A channel is its own way. Leave this empty."))
    within_s = values.get("within_s")
    if within_s is not None and not MIN_WITHIN_S <= within_s <= MAX_WITHIN_S:
        yield Fault("within_s", _("Give 60 to 14,400 seconds (4 hours)."))


def _occasion_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    occasion = values.get("occasion", _Occasion.ALWAYS)
    is_weekly, is_once = occasion == _Occasion.WEEKLY, occasion == _Occasion.ONCE
    at = values.get("at")
    if is_once and at is None:
        yield Fault("at", _("Enter a date and a time."))
    if not is_once and at is not None:
        yield Fault("at", _("It is for “once”. Leave it empty."))
    if at is not None and at.year not in YEARS:
        yield Fault("at", _("Enter a date and a time."))
    if is_weekly and not values.get("weekday"):
        yield Fault("weekday", _("Choose a day of the week."))
    if is_weekly and values.get("clock") is None:
        yield Fault("clock", _("Enter a time, such as 02:30."))
    for name in ("weekday", "clock"):
        if not is_weekly and values.get(name) not in (None, ""):
            yield Fault(name, _("It is for “every week”. Leave it empty."))
    zone = values.get("time_zone", "Europe/Paris")
    if not zone:
        yield Fault("time_zone", _("Enter a time zone such as Europe/Paris."))
    for field, message in validate_time_zone(time_zone=zone).items():
        yield Fault(field, message)
