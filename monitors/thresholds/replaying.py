"""What a threshold would have said of what was recorded: the engine's own judging, replayed.

Pure. Every moment at which a round of judging could have seen something new is looked at
again, through `monitors.thresholds.judging.judge` and under the engine's own rules for
what a look sees (`monitors.thresholds.assessing`); the tests hold the two against each
other. Times are seconds since the epoch: there may be a quarter of a million.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from monitors.thresholds.judging import (
    Change,
    Level,
    Measurement,
    Standing,
    ThresholdSpec,
    Transition,
    judge,
)
from monitors.thresholds.rhythm import (
    LOOKBACK,
    TICK_S,
    first_due_tick,
    is_worth_writing,
)

_LOOKBACK_S = LOOKBACK.total_seconds()
_HOUR_S = 3600


@dataclass(frozen=True, slots=True)
class Recorded:
    """Values in order of time, as two columns of one length."""

    times: Sequence[float] = ()
    values: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What one round of judging saw: single values, or one that sums up a window."""

    tick: float
    at: float
    value: float
    sample_count: int = 1


@dataclass(frozen=True, slots=True)
class Attention:
    """When rounds of judging had an eye on a subject.

    `stretches`: [start, end), in order, in which it was judged; None for always.
    `quiet_ends`: when windows and pauses ended; what was measured up to then counts no
    more. `forgotten`: when a pause began, which ends whatever fired.
    """

    stretches: Sequence[tuple[float, float]] | None = None
    quiet_ends: Sequence[float] = ()
    forgotten: Sequence[float] = ()

    def tick_from(self, tick: float) -> float | None:
        """Return the first tick from `tick` on at which it was judged."""
        if self.stretches is None:
            return tick
        position = bisect_right(self.stretches, (tick, math.inf)) - 1
        if position >= 0 and tick < self.stretches[position][1]:
            return tick
        for start, end in self.stretches[position + 1 :]:
            first = next_tick(start)
            if first < end:
                return first
        return None

    def is_on(self, tick: float) -> bool:
        """Whether a round at `tick` judged it."""
        return self.tick_from(tick) == tick

    def floor(self, *, since: float, tick: float) -> float:
        """Return up to when nothing counts for a look back to `since`."""
        position = bisect_right(self.quiet_ends, tick)
        newest = self.quiet_ends[position - 1] if position else -math.inf
        return max(newest, since)


@dataclass(slots=True)
class Firing:
    """One stretch in which the threshold would have fired. `ended_at` None: it lasts.

    It ends, like an alert, in the round that sees so. `level` and `value` are the worst
    it came to.
    """

    started_at: float
    ended_at: float | None
    level: Level
    value: float
    # The round that raised it.
    noticed_at: float = 0.0


@dataclass(slots=True)
class Replay:
    """One threshold on one subject, fed with looks in order of time."""

    spec: ThresholdSpec
    is_series: bool = False
    forgotten: Sequence[float] = ()
    firings: list[Firing] = field(default_factory=list)
    # The worst value of each hour that was looked at.
    peaks: dict[int, float] = field(default_factory=dict)
    _standing: Standing = field(default_factory=Standing)
    _open: Firing | None = None
    _peak: float | None = None
    # While a level lasts and its values stay on the same sides, nothing can change.
    _sides: tuple[bool, ...] | None = None
    _pauses_passed: int = 0

    def run(self, looks: Iterable[Look]) -> Replay:
        """Feed looks, the next ones in order of time; return itself."""
        for look in looks:
            self._pass_pauses(look.tick)
            self.feed(look)
        return self

    def finish(self, until: float) -> list[Firing]:
        """Say that nothing more comes up to a moment; return what fired."""
        self._pass_pauses(until)
        return self.firings

    def _pass_pauses(self, until: float) -> None:
        while (
            self._pauses_passed < len(self.forgotten)
            and self.forgotten[self._pauses_passed] <= until
        ):
            self._forget(next_tick(self.forgotten[self._pauses_passed]))
            self._pauses_passed += 1

    def feed(self, look: Look) -> None:
        """Judge one look as a round would have."""
        self._note_peak(look)
        standing = self._standing
        if standing.level is Level.OK and not standing.breach_count:
            if not self.spec.could_begin(look.value):
                return
            self._leave_out_of_date(look.tick)
        elif self._is_settled(look):
            return
        self._judge(look)

    def _note_peak(self, look: Look) -> None:
        hour = int(look.at // _HOUR_S)
        known = self.peaks.get(hour)
        self.peaks[hour] = (
            look.value if known is None else self.spec.worse(known, look.value)
        )

    def _leave_out_of_date(self, tick: float) -> None:
        """A standing at rest is not even loaded once the lookback has passed it."""
        judged = self._standing.judged_until
        if (
            not self.is_series
            and judged is not None
            and judged.timestamp() <= tick - _LOOKBACK_S
        ):
            self._standing = Standing()

    def _is_settled(self, look: Look) -> bool:
        """Whether judging would change nothing but what was seen last."""
        if self._sides is None or self._sides != self._sides_of(look.value):
            return False
        if look.sample_count >= self.spec.min_sample_count:
            judged = self._standing.judged_until
            at = _moment(look.at)
            if judged is None or at > judged:
                self._standing = replace(self._standing, judged_until=at)
                self._worsen(look.value)
        return True

    def _judge(self, look: Look) -> None:
        at = _moment(look.at)
        before = self._standing
        after, transitions = judge(
            spec=self.spec,
            standing=before,
            measurements=[
                Measurement(value=look.value, at=at, sample_count=look.sample_count)
            ],
        )
        if not transitions and not is_worth_writing(
            before, after, is_series=self.is_series
        ):
            return
        if after.judged_until == at:
            self._worsen(look.value)
        self._standing = after
        for change in transitions:
            self._note(change, look)
        if after.level is Level.OK and not after.breach_count:
            self._peak = None
        self._sides = None
        if after.level is not Level.OK and not (
            after.differs_from(before) or self._waits(after, at)
        ):
            self._sides = self._sides_of(look.value)

    def _sides_of(self, value: float) -> tuple[bool, ...]:
        spec = self.spec
        return (
            spec.is_over(value, spec.critical_bound),
            spec.is_over(value, spec.warning_bound),
            spec.is_past(value, Level.CRITICAL),
            spec.is_past(value, Level.WARNING),
        )

    def _waits(self, standing: Standing, at: datetime) -> bool:
        """Whether mere time may still raise the level."""
        return any(
            since is not None and (at - since).total_seconds() < self.spec.for_s
            for since in (standing.breach_since, standing.critical_since)
        )

    def _worsen(self, value: float) -> None:
        self._peak = value if self._peak is None else self.spec.worse(self._peak, value)
        if self._open is not None:
            self._open.value = self.spec.worse(self._open.value, value)

    def _note(self, change: Transition, look: Look) -> None:
        """Follow a change of level as an alert does: a round tells of one at most.

        What ends and begins again within a round never ended, and what changes within
        the round that raises the alert began with its newest change.
        """
        if change.change is Change.CLEARED:
            if self._open is not None:
                self._open.ended_at = look.tick
            self._open = None
            return
        if self._open is None:
            self._open = self._begin(change, look)
        if self._open.noticed_at == look.tick:
            self._open.started_at = change.since.timestamp()
        if change.level.rank > self._open.level.rank:
            self._open.level = change.level

    def _begin(self, change: Transition, look: Look) -> Firing:
        value = look.value if self._peak is None else self._peak
        if self.firings and self.firings[-1].ended_at == look.tick:
            again = self.firings[-1]
            again.ended_at = None
            again.value = self.spec.worse(again.value, value)
            return again
        fresh = Firing(
            started_at=change.since.timestamp(),
            ended_at=None,
            level=change.level,
            value=value,
            noticed_at=look.tick,
        )
        self.firings.append(fresh)
        return fresh

    def _forget(self, at: float) -> None:
        if self._open is not None:
            self._open.ended_at = max(at, self._open.started_at)
        self._standing, self._open = Standing(), None
        self._peak = self._sides = None


def next_tick(at: float) -> float:
    """Return the first round of judging that is not before a moment."""
    return math.ceil(at / TICK_S) * float(TICK_S)


def each_value(*, recorded: Recorded, attention: Attention) -> Iterator[Look]:
    """Look at single values of a monitor, as `measuring.each_value` hands them out."""
    for at, value in zip(recorded.times, recorded.values, strict=True):
        tick = attention.tick_from(next_tick(at))
        if (
            tick is not None
            and tick - at < _LOOKBACK_S
            and at > attention.floor(since=-math.inf, tick=tick)
        ):
            yield Look(tick=tick, at=at, value=value)


def each_sample(*, recorded: Recorded) -> Iterator[Look]:
    """Look at the samples of a series: each counts, however late it was seen."""
    for at, value in zip(recorded.times, recorded.values, strict=True):
        yield Look(tick=next_tick(at), at=at, value=value)


def each_window(
    *,
    recorded: Recorded,
    aggregate: str,
    window_s: int,
    attention: Attention,
    until: float,
) -> Iterator[Look]:
    """Look at windows whenever their values changed, as `measuring.window_value` does."""
    times, values = recorded.times, recorded.values
    summed_up = AGGREGATES[aggregate]
    before = (-1, -1)
    for tick in _window_ticks(times, window_s, attention, until):
        since = attention.floor(since=tick - window_s, tick=tick)
        part = bisect_right(times, since), bisect_right(times, tick)
        if part == before or part[0] == part[1]:
            continue
        before = part
        window = values[part[0] : part[1]]
        yield Look(
            tick=tick,
            at=times[part[1] - 1],
            value=float(summed_up(window)),
            sample_count=len(window),
        )


def _window_ticks(
    times: Sequence[float], window_s: int, attention: Attention, until: float
) -> list[float]:
    """Return the rounds at which a window may hold other values than before."""
    moments = set(times)
    moments.update(at + window_s for at in times)
    moments.update(attention.quiet_ends)
    if attention.stretches is not None:
        moments.update(start for start, _end in attention.stretches)
    ticks = {first_due_tick(next_tick(at), window_s) for at in moments}
    return sorted(tick for tick in ticks if tick <= until and attention.is_on(tick))


def each_run_of_failures(
    *, recorded: Recorded, attention: Attention, gaps: Sequence[float]
) -> Iterator[Look]:
    """Look at how many results in a row had failed.

    Values are codes of results; `gaps`: moments at which the count began anew, because
    nobody had looked for a while. A round sees the newest result alone.
    """
    count, before = 0, -math.inf
    waiting: Look | None = None
    for at, code in zip(recorded.times, recorded.values, strict=True):
        if bisect_left(gaps, at) > bisect_left(gaps, before):
            count = 0
        before = at
        # 90 to 99 are our own fault: they say nothing.
        if not 90 <= code <= 99:
            count = count + 1 if code else 0
        tick = attention.tick_from(next_tick(at))
        if waiting is not None and waiting.tick != tick:
            yield waiting
        waiting = None if tick is None else Look(tick=tick, at=at, value=float(count))
    if waiting is not None:
        yield waiting


def each_age(
    *, times: Sequence[float], start: float, until: float, above: float
) -> Iterator[Look]:
    """Look at the age of the newest sample at every round, where it exceeds `above`.

    One look at the round after each gap says that it is over.
    """
    ends = [*times[1:], math.inf]
    for at, end in zip(times, ends, strict=True):
        tick = next_tick(max(at + above, start, at))
        if tick >= min(end, until):
            continue
        while tick < end and tick <= until:
            yield Look(tick=tick, at=tick, value=tick - at)
            tick += TICK_S
        if end <= until:
            tick = next_tick(end)
            newest = times[bisect_right(times, tick) - 1]
            yield Look(tick=tick, at=tick, value=tick - newest)


def each_day_left(
    *,
    expires_at: float,
    start: float,
    until: float,
    every_s: float,
    attention: Attention,
) -> Iterator[Look]:
    """Look at the days left on a certificate, at every check."""
    at = start
    while at <= until:
        tick = attention.tick_from(next_tick(at))
        if tick is None:
            return
        if tick > until:
            return
        yield Look(tick=tick, at=tick, value=(expires_at - tick) / 86_400)
        at = max(at + every_s, tick + 0.001)


def _disc(share: float) -> Callable[[Sequence[float]], float]:
    """Return PostgreSQL's percentile_disc."""

    def of(values: Sequence[float]) -> float:
        return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]

    return of


AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "last": lambda values: values[-1],
    "avg": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "sum": math.fsum,
    "p50": _disc(0.5),
    "p95": _disc(0.95),
    "p99": _disc(0.99),
}


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC)
