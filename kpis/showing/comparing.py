"""A value against the one before, and against its target. Pure.

Only like is compared with like: periods of the same length, computed the same way, both
over. Nothing to compare with is "n/a", never zero and never infinite.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

# As `kpis.models.Kpi.Direction`.
HIGHER, LOWER = "higher", "lower"
# A change is worth a look when it is larger than so many in ten before it …
_TENTHS = 9
# … of at least so many, and not trifling.
_LEAST_KNOWN = 8
_LEAST_RATIO = 0.05


class Tone(StrEnum):
    """Whether it is good news."""

    GOOD = "good"
    BAD = "bad"
    EVEN = "even"


class NoComparison(StrEnum):
    """Why there is no share of change."""

    NONE = ""
    # The period before has no value.
    MISSING = "missing"
    # It was zero, of which nothing is a share.
    ZERO = "zero"
    # It was computed in another way.
    RECOMPUTED = "recomputed"


@dataclass(frozen=True, slots=True)
class Change:
    """The way from the period before. Both None: there is nothing to compare with."""

    difference: Decimal | None = None
    ratio: float | None = None
    tone: Tone = Tone.EVEN
    why_not: NoComparison = NoComparison.MISSING


@dataclass(frozen=True, slots=True)
class Progress:
    """How a value stands to its target."""

    target: Decimal
    # Of the value to the target; None for a target of zero or below.
    ratio: float | None
    # None where neither direction is better.
    is_reached: bool | None


def change(*, value: Decimal, before: Decimal | None, direction: str) -> Change:
    """Compare a value with the one before; `direction` as of a KPI."""
    if before is None:
        return Change()
    difference = value - before
    tone = _tone(difference, direction)
    if before == 0:
        return Change(difference, None, tone, NoComparison.ZERO)
    ratio = float(difference / abs(before))
    return Change(difference, ratio, tone, NoComparison.NONE)


def progress(
    *, value: Decimal, target: Decimal | None, direction: str
) -> Progress | None:
    """Compare a value with its target; None without one."""
    if target is None:
        return None
    return Progress(
        target=target,
        ratio=float(value / target) if target > 0 else None,
        is_reached={HIGHER: value >= target, LOWER: value <= target}.get(direction),
    )


def target_on(targets: Sequence[tuple[date, Decimal]], day: date) -> Decimal | None:
    """Return the target valid on a day. `targets`: first day and value, oldest first."""
    place = bisect_right([month for month, _value in targets], day)
    return targets[place - 1][1] if place else None


def has_moved(changes: Sequence[float], latest: float | None) -> bool:
    """Whether a share of change is larger than nine in ten of the ones before it."""
    if latest is None or abs(latest) < _LEAST_RATIO or len(changes) < _LEAST_KNOWN:
        return False
    usual = statistics.quantiles([abs(one) for one in changes], n=10)[_TENTHS - 1]
    return abs(latest) > usual


def _tone(difference: Decimal, direction: str) -> Tone:
    if not difference or direction not in (HIGHER, LOWER):
        return Tone.EVEN
    return Tone.GOOD if (difference > 0) == (direction == HIGHER) else Tone.BAD
