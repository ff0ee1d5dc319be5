"""*Try on history*: what a threshold would have fired over the last 30 days.

Reads, and writes nothing. Scopes, measurements and judging are the engine's own. Bounded:
a few seconds, some hundred thousand values; what that leaves out is said.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from django.db import OperationalError, connection, transaction

from monitors.models import Monitor, Series, Threshold
from monitors.status import Status
from monitors.thresholds import recorded
from monitors.thresholds.assessing import measured_as
from monitors.thresholds.down_alerts import OVER, strongest
from monitors.thresholds.judging import Level
from monitors.thresholds.recorded import Hours, Line, Span
from monitors.thresholds.replaying import (
    Attention,
    Firing,
    Look,
    Recorded,
    Replay,
    each_age,
    each_day_left,
    each_run_of_failures,
    each_sample,
    each_value,
    each_window,
)
from monitors.thresholds.scopes import Scopes
from monitors.thresholds.sentences import priority_of, say_series, spec_of
from monitors.thresholds.watched import Watched, watched_monitors

Measure = Threshold.Measure

TRIED = timedelta(days=30)
# Twice that, for the values as saved, is what a reader waits for; a query that takes
# longer is ended.
PATIENCE_S = 0.8
_STATEMENT_MS = 1_500
# Single values read, in all; more than that are judged by the hour.
MAX_VALUES = 250_000
# Subjects that are replayed one by one.
MAX_SUBJECTS = 300
MAX_PICTURES = 6
MAX_LISTED = 100
_HOUR_S = recorded.HOUR_S
# What an hour of many checks is judged by, where only its figures are kept.
_HOUR_STANDS_FOR = Threshold.Aggregate.P95


class UnableToTry(Exception):
    """The history is too much to read within bounds."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One stretch in which the threshold would have fired. `ended_at` None: it lasts."""

    name: str
    url_id: int | None
    started_at: datetime
    ended_at: datetime | None
    level: Level
    priority: str
    value: float
    unit: str

    def length(self, now: datetime) -> timedelta:
        """How long it lasted."""
        return (self.ended_at or now) - self.started_at


@dataclass(slots=True)
class Subject:
    """One monitor or series, what was measured there and what would have fired.

    `hourly`: the worst value of each hour, by its beginning. `lines`: the ledger, for a
    threshold on "is down".
    """

    name: str
    id: int
    unit: str = ""
    firings: list[Firing] = field(default_factory=list)
    hourly: dict[int, float] = field(default_factory=dict)
    lines: Sequence[Line] = ()


@dataclass(slots=True)
class Coverage:
    """What the trial rests on.

    `single_since`: from there on single values were judged; before, figures by the hour.
    `calm_count` subjects never came near a bound. `hourly_count` were judged by the hour
    because there is too much, `left_out_count` not at all. `known_since`: certificates
    alone; before, another one may have been in use.
    """

    start: datetime
    end: datetime
    subject_count: int = 0
    calm_count: int = 0
    hourly_count: int = 0
    left_out_count: int = 0
    single_since: datetime | None = None
    has_hourly: bool = False
    known_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a threshold would have fired, newest first."""

    threshold: Threshold
    firings: list[Tried]
    pictured: list[Subject]
    coverage: Coverage

    @property
    def count(self) -> int:
        """How often it would have fired."""
        return len(self.firings)

    @property
    def length(self) -> timedelta:
        """How long in all, each firing for itself."""
        end = self.coverage.end
        return sum((one.length(end) for one in self.firings), timedelta())

    @property
    def by_priority(self) -> list[tuple[str, int]]:
        """How often with each priority, the most urgent first."""
        return sorted(Counter(one.priority for one in self.firings).items())


def try_on_history(*, threshold: Threshold, now: datetime) -> Trial:
    """Return what a threshold, saved or not, would have fired in the last 30 days.

    It is tried as if it were enabled, beside the other enabled thresholds: where one of
    those is narrower, it says nothing. Raises UnableToTry.
    """
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {_STATEMENT_MS}")
            return _Trier(threshold, now).run()
    except OperationalError as error:
        raise UnableToTry(str(error)) from error


class _Trier:
    def __init__(self, threshold: Threshold, now: datetime) -> None:
        self._threshold = threshold
        self._spec = spec_of(threshold)
        self._measure = Measure(threshold.measure)
        _measure, self._aggregate, self._window_s = measured_as(threshold)
        self._span = Span(start=(now - TRIED).timestamp(), end=now.timestamp())
        self._now = now
        self._deadline = time.monotonic() + PATIENCE_S
        self._budget = MAX_VALUES
        self._coverage = Coverage(start=now - TRIED, end=now)
        others = Threshold.objects.filter(is_enabled=True).exclude(pk=threshold.pk)
        self._scopes = Scopes([*others, threshold])

    def run(self) -> Trial:
        if self._measure in (Measure.SERIES, Measure.NO_DATA):
            subjects = list(self._series())
        else:
            subjects = list(self._monitors())
        firings = [
            self._tried(subject, one) for subject in subjects for one in subject.firings
        ]
        firings.sort(key=lambda one: one.started_at, reverse=True)
        pictured = sorted(subjects, key=lambda one: (-len(one.firings), one.name))
        if firings:
            pictured = [one for one in pictured if one.firings]
        pictured = pictured[: MAX_PICTURES if firings else 1]
        for subject in pictured:
            self._complete(subject)
        return Trial(
            threshold=self._threshold,
            firings=firings,
            pictured=[one for one in pictured if one.hourly or one.lines],
            coverage=self._coverage,
        )

    def _tried(self, subject: Subject, firing: Firing) -> Tried:
        is_series = self._measure in (Measure.SERIES, Measure.NO_DATA)
        return Tried(
            name=subject.name,
            url_id=None if is_series else subject.id,
            started_at=_moment(firing.started_at),
            ended_at=None if firing.ended_at is None else _moment(firing.ended_at),
            level=firing.level,
            priority=priority_of(self._threshold, firing.level),
            value=firing.value,
            unit=subject.unit,
        )

    # What it applies to

    def _applies_to(self, row: Watched) -> bool:
        found = self._scopes.for_monitor(
            monitor_id=row.monitor_id, service_id=row.service_id, tags=row.tags
        )
        return self._threshold in found.get(self._measure, ())

    def _monitors(self) -> Iterator[Subject]:
        rows = {
            row.monitor_id: row
            for row in watched_monitors(now=self._now)
            if self._applies_to(row)
        }
        self._coverage.subject_count = len(rows)
        if self._measure == Measure.DOWN:
            yield from self._down(rows)
        elif self._measure == Measure.TLS_DAYS:
            yield from self._certificates(rows)
        else:
            yield from self._measured(rows)

    # Latency, share of failures, failures in a row

    def _measured(self, rows: dict[int, Watched]) -> Iterator[Subject]:
        low, high = self._near_bounds()
        near = recorded.hours_near(
            monitor_ids=rows,
            measure=self._measure,
            low=low,
            high=high,
            is_summed=bool(self._window_s) and self._aggregate == "sum",
            span=self._span,
        )
        order = sorted(near, key=lambda key: (-len(near[key]), key))
        chosen, rest = order[:MAX_SUBJECTS], order[MAX_SUBJECTS:]
        self._coverage.left_out_count += len(rest)
        self._coverage.calm_count = len(rows) - len(order)
        observed = recorded.observed_hours(
            monitor_ids=chosen, measure=self._measure, span=self._span
        )
        lines = recorded.ledger(monitor_ids=chosen, span=self._span)
        intervals = dict(
            Monitor.objects.filter(pk__in=chosen).values_list("pk", "interval_s")
        )
        self._note_single_since()
        # Finding what is near is bounded by itself, and worth nothing without this.
        self._deadline = time.monotonic() + PATIENCE_S
        for position, key in enumerate(chosen):
            if time.monotonic() > self._deadline:
                self._coverage.left_out_count += len(chosen) - position
                return
            yield self._replayed(
                Subject(name=rows[key].name, id=key),
                Hours(observed=observed.get(key, []), near=near[key]),
                lines.get(key, []),
                intervals.get(key, 60),
            )
        if not chosen and rows:
            # Nothing fires; one picture shows how far away from it all was.
            first = min(rows.values(), key=lambda row: row.name)
            yield Subject(name=first.name, id=first.monitor_id)

    def _near_bounds(self) -> tuple[float, float]:
        """Return what values must lie between to begin nothing and end everything."""
        low, high = self._spec.harmless
        clear = self._spec.clear_bound
        if clear is None:
            return low, high
        return (
            (low, min(high, clear)) if self._spec.is_above else (max(low, clear), high)
        )

    def _note_single_since(self) -> None:
        since = recorded.single_results_since(measure=self._measure)
        moment = max(self._span.start, self._span.end if since is None else since)
        self._coverage.single_since = _moment(moment)

    def _replayed(
        self, subject: Subject, hours: Hours, lines: Sequence[Line], interval_s: int
    ) -> Subject:
        attention = recorded.attention(lines=lines, measure=self._measure)
        single_since = self._coverage.single_since
        border = self._span.end if single_since is None else single_since.timestamp()
        stretches = [
            (max(start, border), end)
            for start, end in hours.stretches(
                window_s=self._window_s, end=self._span.end
            )
            if end > border
        ]
        expected = sum(end - start for start, end in stretches) / max(interval_s, 1)
        values: Recorded | None = None
        if expected <= 2 * self._budget:
            values = recorded.single_values(
                subject_id=subject.id,
                measure=self._measure,
                stretches=stretches,
                limit=self._budget,
            )
        if values is None:
            self._coverage.hourly_count += 1
            border = self._span.end
        else:
            self._budget -= len(values.times)
        replay = Replay(spec=self._spec, forgotten=attention.forgotten)
        if any(hour < border for hour in hours.near):
            # Checks of an hour in a row are one value there.
            replay.spec = replace(self._spec, for_count=1, for_s=0)
            wanted = self._hours_to_read(hours, border, attention)
            replay.run(self._hourly_looks(subject.id, wanted, border, attention))
            replay.spec = self._spec
        if values is not None:
            gaps = recorded.gaps(lines=lines)
            replay.run(self._looks(values, attention, gaps))
        subject.firings = replay.finish(self._span.end)
        subject.hourly = dict(replay.peaks)
        return subject

    def _hours_to_read(
        self, hours: Hours, border: float, attention: Attention
    ) -> list[int] | None:
        """Return the hours before `border` whose figures may matter; None for all."""
        if self._spec.min_sample_count > 1:
            # The next hour may have too few to let go, and the one after it as well.
            return None
        return [hour for hour in hours.worth_reading(attention) if hour < border]

    def _looks(
        self, values: Recorded, attention: Attention, gaps: Sequence[float]
    ) -> Iterator[Look]:
        if self._measure == Measure.FAILURES:
            return each_run_of_failures(recorded=values, attention=attention, gaps=gaps)
        if not self._window_s:
            return each_value(recorded=values, attention=attention)
        return each_window(
            recorded=values,
            aggregate=self._aggregate,
            window_s=self._window_s,
            attention=attention,
            until=self._span.end,
        )

    def _hourly_looks(
        self,
        monitor_id: int,
        hours: Sequence[int] | None,
        border: float,
        attention: Attention,
    ) -> Iterator[Look]:
        """Look at hours of which only the figures are kept, each as one value."""
        if self._measure == Measure.FAILURES:
            return
        self._coverage.has_hourly = True
        aggregate = self._aggregate if self._window_s else _HOUR_STANDS_FOR
        for figures in recorded.hourly_figures(
            monitor_id=monitor_id, span=self._span, hours=hours
        ):
            at = recorded.hour_judged_at(figures.hour)
            value = figures.value(self._measure, aggregate)
            if at > border or value is None or not attention.is_on(at):
                continue
            count = figures.passed_count + (
                figures.failed_count if self._measure == Measure.ERROR_RATIO else 0
            )
            yield Look(tick=at, at=at, value=value, sample_count=count)

    # Certificates

    def _certificates(self, rows: dict[int, Watched]) -> Iterator[Subject]:
        known = recorded.certificates(monitor_ids=rows)
        ends = sorted(known, key=lambda key: known[key][0])
        self._coverage.calm_count = len(rows) - len(ends)
        chosen = ends[:MAX_SUBJECTS]
        self._coverage.left_out_count = len(ends) - len(chosen)
        lines = recorded.ledger(monitor_ids=chosen, span=self._span)
        intervals = dict(
            Monitor.objects.filter(pk__in=chosen).values_list("pk", "interval_s")
        )
        for position, key in enumerate(chosen):
            if time.monotonic() > self._deadline:
                self._coverage.left_out_count += len(chosen) - position
                return
            expires_at, valid_since = known[key]
            start = max(self._span.start, valid_since or 0)
            if valid_since is not None and valid_since > self._span.start:
                moment = _moment(valid_since)
                self._coverage.known_since = max(
                    moment, self._coverage.known_since or moment
                )
            attention = recorded.attention(
                lines=lines.get(key, []), measure=self._measure
            )
            looks = each_day_left(
                expires_at=expires_at,
                start=start,
                until=self._span.end,
                every_s=float(intervals.get(key, 60)),
                attention=attention,
            )
            replay = Replay(spec=self._spec, forgotten=attention.forgotten).run(looks)
            replay.finish(self._span.end)
            yield Subject(
                name=rows[key].name,
                id=key,
                firings=replay.firings,
                hourly=dict(replay.peaks),
            )

    # Is down

    def _down(self, rows: dict[int, Watched]) -> Iterator[Subject]:
        lines = recorded.ledger(monitor_ids=rows, span=self._span)
        for key, row in rows.items():
            of = lines.get(key, [])
            firings = list(self._down_firings(row, of))
            if not firings:
                self._coverage.calm_count += 1
            if firings or len(rows) == 1:
                yield Subject(name=row.name, id=key, firings=firings, lines=of)

    def _down_firings(self, row: Watched, lines: Sequence[Line]) -> Iterator[Firing]:
        """Find outages that lasted long enough, each up to when it was over.

        Windows and unknown time leave the alert as it is.
        """
        found: Firing | None = None
        for line in lines:
            if line.status in OVER:
                if found is not None:
                    found.ended_at = line.start
                    found.value = line.start - found.started_at
                    yield found
                found = None
            end = min(line.end, self._span.end)
            if line.status != Status.DOWN or found is not None:
                continue
            lasted = timedelta(seconds=end - line.start)
            wait = timedelta(seconds=self._threshold.for_s)
            rings = strongest(
                self._scopes, row.monitor_id, row.service_id, row.tags, wait
            )
            if lasted >= wait and rings == self._threshold:
                found = Firing(
                    started_at=line.start, ended_at=None, level=Level.CRITICAL, value=0
                )
        if found is not None:
            found.value = self._span.end - found.started_at
            yield found

    # Series

    def _series(self) -> Iterator[Subject]:
        rows = [
            row
            for row in Series.objects.filter(name=self._threshold.series_name).order_by(
                "labels_key"
            )
            if self._threshold
            in self._scopes.for_series(
                measure=self._measure, name=row.name, labels=row.labels
            )
        ]
        self._coverage.subject_count = len(rows)
        self._coverage.left_out_count = max(len(rows) - MAX_SUBJECTS, 0)
        self._note_single_since()
        for position, row in enumerate(rows[:MAX_SUBJECTS]):
            values = None
            if time.monotonic() <= self._deadline:
                values = recorded.single_values(
                    subject_id=row.pk,
                    measure=self._measure,
                    stretches=[(self._span.start - self._window_s, self._span.end)],
                    limit=self._budget,
                )
            if values is None:
                left = min(len(rows), MAX_SUBJECTS) - position
                self._coverage.left_out_count += left
                return
            self._budget -= len(values.times)
            replay = Replay(spec=self._spec, is_series=True)
            replay.run(self._series_looks(values))
            if not replay.firings:
                self._coverage.calm_count += 1
            yield Subject(
                name=say_series(row.name, row.labels),
                id=row.pk,
                unit="" if self._measure == Measure.NO_DATA else row.unit,
                firings=replay.firings,
                hourly=dict(replay.peaks),
            )

    def _series_looks(self, values: Recorded) -> Iterator[Look]:
        if self._measure == Measure.NO_DATA:
            return each_age(
                times=values.times,
                start=self._span.start,
                until=self._span.end,
                above=max(self._spec.harmless[1], 0) if self._spec.is_above else 0,
            )
        if not self._window_s:
            return each_sample(recorded=values)
        return each_window(
            recorded=values,
            aggregate=self._aggregate,
            window_s=self._window_s,
            attention=Attention(),
            until=self._span.end,
        )

    # Pictures

    def _complete(self, subject: Subject) -> None:
        """Add the hours that needed no second look, so that the line has no holes."""
        if self._measure not in (
            Measure.LATENCY,
            Measure.ERROR_RATIO,
            Measure.FAILURES,
        ):
            return
        is_run = self._measure == Measure.FAILURES
        for figures in recorded.hourly_figures(monitor_id=subject.id, span=self._span):
            value: float | None = 0.0
            if not is_run:
                value = figures.value(self._measure, self._aggregate)
            if value is not None:
                subject.hourly.setdefault(figures.hour // _HOUR_S, value)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC)
