"""Whether a value can be believed, and whether it needs a look: word, icon, color. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop


class Freshness(StrEnum):
    """How far the shown value can be believed."""

    FRESH = "fresh"
    STALE = "stale"
    OVERDUE = "overdue"
    # The source can't be read.
    FAILING = "failing"
    # The source works, and has no number for the period: a quiet night has no MTTA.
    NO_VALUE = "no_value"
    # Nothing was ever read.
    NEVER = "never"
    # Nobody reads it: its source is switched off.
    OFF = "off"


class Standing(StrEnum):
    """What a card says first. In the order of urgency."""

    CRITICAL = "critical"
    OVERDUE = "overdue"
    FAILING = "failing"
    WARNING = "warning"
    STALE = "stale"
    NO_VALUE = "no_value"
    OFF_TARGET = "off_target"
    NEVER = "never"
    OFF = "off"
    FRESH = "fresh"
    ON_TARGET = "on_target"


# Colors and icons are those of monitors (`static/portal/icons.svg`).
_LOOKS = {
    Standing.CRITICAL: "down",
    Standing.OVERDUE: "down",
    Standing.FAILING: "degraded",
    Standing.WARNING: "degraded",
    Standing.STALE: "degraded",
    Standing.NO_VALUE: "unknown",
    Standing.OFF_TARGET: "degraded",
    Standing.NEVER: "pending",
    Standing.OFF: "paused",
    Standing.FRESH: "up",
    Standing.ON_TARGET: "up",
}
# One is asked for each card of a board: only that one is translated.
_WORDS = {
    Standing.CRITICAL: gettext_noop("Critical"),
    Standing.OVERDUE: gettext_noop("Overdue"),
    Standing.FAILING: gettext_noop("Failing"),
    Standing.WARNING: gettext_noop("Warning"),
    Standing.STALE: gettext_noop("Stale"),
    Standing.NO_VALUE: gettext_noop("No value"),
    Standing.NEVER: gettext_noop("Not read yet"),
    Standing.OFF: gettext_noop("Switched off"),
    Standing.FRESH: gettext_noop("Up to date"),
    Standing.ON_TARGET: gettext_noop("On target"),
}
_NEEDS_A_LOOK = frozenset(
    {
        Standing.CRITICAL,
        Standing.OVERDUE,
        Standing.FAILING,
        Standing.WARNING,
        Standing.STALE,
        Standing.OFF_TARGET,
    }
)
_RANKS = {standing: rank for rank, standing in enumerate(Standing)}


@dataclass(frozen=True, slots=True)
class Collected:
    """How the collection of a KPI stands."""

    is_on: bool
    # People enter it: nobody reads it by the clock.
    is_manual: bool
    has_value: bool
    # The last time that a value was read.
    last_ok_at: datetime | None
    # Since when a period that is over lacks its value.
    missing_since: datetime | None
    failure_count: int
    failing_since: datetime | None
    # Of the last run: a code and words, empty when it brought a value.
    reason: str
    message: str
    stale_after_s: int
    overdue_after_s: int


def freshness(*, collected: Collected, now: datetime) -> Freshness:
    """Say how far the last value can be believed."""
    if not collected.is_on:
        return Freshness.OFF
    if not collected.failure_count and (collected.reason or _is_answered(collected)):
        return Freshness.NO_VALUE
    age = _age(collected, now)
    is_overdue = age >= timedelta(seconds=collected.overdue_after_s)
    if is_overdue and collected.has_value:
        return Freshness.OVERDUE
    if collected.failure_count:
        return Freshness.FAILING
    if not collected.has_value:
        return Freshness.NEVER
    if age >= timedelta(seconds=collected.stale_after_s):
        return Freshness.STALE
    return Freshness.FRESH


def out_of_date_since(collected: Collected) -> datetime | None:
    """Return the moment from which nobody knows whether there is a newer value.

    What is read is known until it was last read; what people enter, until the next
    period is due.
    """
    return collected.missing_since if collected.is_manual else collected.last_ok_at


def standing(*, freshness: Freshness, alarm: str, is_reached: bool | None) -> Standing:
    """Say what a card says first. `alarm`: the worst level of its thresholds, or empty.

    A value that can't be believed is no news of its own: that it can't goes first, but
    for a threshold that fires.
    """
    if alarm == Standing.CRITICAL:
        return Standing.CRITICAL
    if freshness not in (Freshness.FRESH, Freshness.STALE):
        return Standing(freshness)
    if alarm == Standing.WARNING:
        return Standing.WARNING
    if freshness == Freshness.STALE:
        return Standing.STALE
    if is_reached is None:
        return Standing.FRESH
    return Standing.ON_TARGET if is_reached else Standing.OFF_TARGET


def look(standing: Standing) -> str:
    """Return the state whose icon and color it has: "up", "degraded", …"""
    return _LOOKS[standing]


def rank(standing: Standing) -> int:
    """Return the place in a list that starts with what needs a look."""
    return _RANKS[standing]


def needs_a_look(standing: Standing) -> bool:
    """Whether somebody should look at it."""
    return standing in _NEEDS_A_LOOK


def word(standing: Standing, *, is_higher_better: bool) -> str:
    """Return the word beside the icon."""
    if standing == Standing.OFF_TARGET:
        return _("Below target") if is_higher_better else _("Above target")
    return _(_WORDS[standing])


def _is_answered(collected: Collected) -> bool:
    """Whether the source was read after a period ended and had no value for it."""
    return (
        not collected.is_manual
        and collected.missing_since is not None
        and collected.last_ok_at is not None
        and collected.last_ok_at >= collected.missing_since
    )


def _age(collected: Collected, now: datetime) -> timedelta:
    since = out_of_date_since(collected)
    return timedelta() if since is None else now - since
