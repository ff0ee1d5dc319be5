"""What a policy may hold, beyond the limits of its columns; for forms, import and API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from notifications.validation import validate_time_zone
from t4g_portal.lib.faults import Fault

# Below a minute people stop reading; below five nobody has the time to look.
LEAST_REPEAT_S = 60
LEAST_EXPIRY_S = 300
# A page that comes later than this is no escalation.
MOST_AFTER_S = 7 * 24 * 3600
MOST_STEPS = 20


def policy_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check a policy's own fields."""
    if 0 < values.get("ack_expires_s", 0) < LEAST_EXPIRY_S:
        yield Fault("ack_expires_s", _("Give at least 300 seconds, or 0 for never."))


def step_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Check one step."""
    if 0 < values.get("repeat_s", 0) < LEAST_REPEAT_S:
        yield Fault("repeat_s", _("Give at least 60 seconds, or 0 to tell once."))
    if values.get("repeat_limit", 0) and not values.get("repeat_s", 0):
        yield Fault("repeat_limit", _("Say after how many seconds it is told again."))
    if values.get("after_s", 0) > MOST_AFTER_S:
        yield Fault("after_s", _("A week (604800 seconds) is the longest."))
    if (values.get("only_from") is None) != (values.get("only_until") is None):
        yield Fault("only_until", _("Give both ends of the hours, or none."))
    for field, message in validate_time_zone(
        time_zone=values.get("time_zone", "")
    ).items():
        yield Fault(field, message)


def names_nobody(values: Mapping[str, Any], sources: Sequence[str]) -> bool:
    """Whether a step has neither channel nor schedule, person or team."""
    return not any(values.get(source) for source in sources)


def steps_fault(count: int) -> str:
    """Say what is wrong with the number of steps; empty when it is right."""
    if count > MOST_STEPS:
        return _("%(most)d steps are the most.") % {"most": MOST_STEPS}
    return ""
