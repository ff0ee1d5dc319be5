"""From measurements to "fires" or "is over". Pure: plain values in, plain values out.

A level is reached when so many values in a row are over its bound and have been for so
long, and is left by one value back past the clear bound. What lies between the two
changes nothing, so a value that wavers there never makes an alert flap.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime


class Level(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for OK, more for worse."""
        return _RANKS[self]


_RANKS = {Level.OK: 0, Level.WARNING: 1, Level.CRITICAL: 2}


class Change(enum.StrEnum):
    """What a judgement did to an alert."""

    FIRED = "fired"
    RAISED = "raised"
    LOWERED = "lowered"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class ThresholdSpec:
    """The plain values of a threshold. A bound that is None does not exist."""

    is_above: bool = True
    warning_bound: float | None = None
    critical_bound: float | None = None
    clear_bound: float | None = None
    for_count: int = 1
    for_s: float = 0.0
    min_sample_count: int = 1

    def is_over(self, value: float, bound: float | None) -> bool:
        """Whether a value lies on the bad side of a bound; on it is still good."""
        if bound is None:
            return False
        return value > bound if self.is_above else value < bound

    @property
    def harmless(self) -> tuple[float, float]:
        """The lowest and the highest value that are over no bound."""
        bounds = [
            bound
            for bound in (self.warning_bound, self.critical_bound)
            if bound is not None
        ]
        if self.is_above:
            return -math.inf, min(bounds, default=math.inf)
        return max(bounds, default=-math.inf), math.inf

    def could_begin(self, value: float) -> bool:
        """Whether a value is over any bound."""
        low, high = self.harmless
        return not low <= value <= high

    def worse(self, one: float, other: float) -> float:
        """Return the one of two values that lies further to the bad side."""
        return max(one, other) if self.is_above else min(one, other)

    def is_past(self, value: float, level: Level) -> bool:
        """Whether a value is back past the end of a level.

        Without a clear bound, a value on the bound is past it: it is not over any more.
        """
        end = self.end_of(level)
        if end is None:
            # The bound was taken away while the level lasted.
            return True
        own = self.critical_bound if level is Level.CRITICAL else self.warning_bound
        if end == own:
            return not self.is_over(value, end)
        return value < end if self.is_above else value > end

    def end_of(self, level: Level) -> float | None:
        """The bound that a value must be back past for a level to end.

        A clear bound on the bad side of the level's own bound would end it while it
        lasts, so there the level's own bound holds.
        """
        bound = self.critical_bound if level is Level.CRITICAL else self.warning_bound
        if bound is None or self.clear_bound is None:
            return bound
        return (min if self.is_above else max)(bound, self.clear_bound)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value, when it was taken, and how many samples it sums up."""

    value: float
    at: datetime
    sample_count: int = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a threshold stands on one subject.

    `breach_*` count the newest values in a row over either bound, `critical_*` those over
    the critical one. A count goes no further than the threshold asks for.
    """

    level: Level = Level.OK
    since: datetime | None = None
    value: float | None = None
    judged_until: datetime | None = None
    breach_count: int = 0
    breach_since: datetime | None = None
    critical_count: int = 0
    critical_since: datetime | None = None

    def differs_from(self, other: Standing) -> bool:
        """Whether anything else than what was seen last is different.

        A standing that does not differ may stay unwritten: judging the same values
        again leads to the same.
        """
        return (
            replace(self, value=other.value, judged_until=other.judged_until) != other
        )


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of level, with the value that made it. `since` is backdated."""

    change: Change
    level: Level
    since: datetime
    value: float


def judge(
    *, spec: ThresholdSpec, standing: Standing, measurements: Iterable[Measurement]
) -> tuple[Standing, list[Transition]]:
    """Return the standing after some measurements, and the changes on the way.

    Measurements come in order of time; those already judged, and those of too few
    samples, change nothing.
    """
    transitions = []
    for measurement in measurements:
        if measurement.sample_count < spec.min_sample_count:
            continue
        until = standing.judged_until
        if until is not None and measurement.at <= until:
            continue
        before = standing
        standing = _judge_one(spec, _count(spec, before, measurement), measurement)
        change = _change(before.level, standing.level)
        if change is not None:
            transitions.append(
                Transition(
                    change=change,
                    level=standing.level,
                    since=standing.since or measurement.at,
                    value=measurement.value,
                )
            )
    return standing, transitions


def _count(
    spec: ThresholdSpec, standing: Standing, measurement: Measurement
) -> Standing:
    value, at = measurement.value, measurement.at
    is_critical = spec.is_over(value, spec.critical_bound)
    is_over = is_critical or spec.is_over(value, spec.warning_bound)
    return replace(
        standing,
        value=value,
        judged_until=at,
        breach_count=min(standing.breach_count + 1, spec.for_count) if is_over else 0,
        breach_since=(standing.breach_since or at) if is_over else None,
        critical_count=(
            min(standing.critical_count + 1, spec.for_count) if is_critical else 0
        ),
        critical_since=(standing.critical_since or at) if is_critical else None,
    )


def _judge_one(
    spec: ThresholdSpec, standing: Standing, measurement: Measurement
) -> Standing:
    at, level = measurement.at, standing.level
    reached, since = _reached(spec, standing, at)
    if reached.rank > level.rank:
        return replace(standing, level=reached, since=since)
    if level is Level.OK or not spec.is_past(measurement.value, level):
        return standing
    if (
        level is Level.CRITICAL
        and spec.warning_bound is not None
        and not spec.is_past(measurement.value, Level.WARNING)
    ):
        return replace(standing, level=Level.WARNING, since=at)
    return replace(standing, level=Level.OK, since=at)


def _reached(
    spec: ThresholdSpec, standing: Standing, at: datetime
) -> tuple[Level, datetime | None]:
    """Return the worst level that the values in a row reach, and since when."""
    if _is_lasting(spec, standing.critical_count, standing.critical_since, at):
        return Level.CRITICAL, standing.critical_since
    if spec.warning_bound is not None and _is_lasting(
        spec, standing.breach_count, standing.breach_since, at
    ):
        return Level.WARNING, standing.breach_since
    return Level.OK, None


def _is_lasting(
    spec: ThresholdSpec, count: int, since: datetime | None, at: datetime
) -> bool:
    return (
        since is not None
        and count >= spec.for_count
        and (at - since).total_seconds() >= spec.for_s
    )


def _change(before: Level, after: Level) -> Change | None:
    if after is before:
        return None
    if before is Level.OK:
        return Change.FIRED
    if after is Level.OK:
        return Change.CLEARED
    return Change.RAISED if after.rank > before.rank else Change.LOWERED
