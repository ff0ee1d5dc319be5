"""Holds every enabled threshold against what was measured; decides, but writes nothing.

One query for each (measure, aggregate, window), however many monitors there are.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import DatabaseError

from monitors.models import Series, Threshold
from monitors.thresholds import measuring
from monitors.thresholds.judging import Level, Measurement, Standing, Transition, judge
from monitors.thresholds.measuring import Interest
from monitors.thresholds.rhythm import LOOKBACK, is_due, is_worth_writing
from monitors.thresholds.scopes import Scopes
from monitors.thresholds.sentences import say_series, spec_of
from monitors.thresholds.standings import MONITOR, SERIES, Place, Subject
from monitors.thresholds.watched import Watched, quiet_until

logger = logging.getLogger(__name__)

Measure = Threshold.Measure

# A series that no threshold has judged yet is judged so far back.
_FIRST_LOOK = timedelta(hours=1)

_SOURCES = {Measure.LATENCY: measuring.LATENCY, Measure.ERROR_RATIO: measuring.FAILED}
# What is judged of a monitor that is down.
_ALSO_WHEN_DOWN = frozenset({Measure.ERROR_RATIO, Measure.FAILURES})


class Judged(NamedTuple):
    """Something that can be judged, as an alert speaks of it."""

    subject: Subject
    name: str
    # Of a monitor; a threshold on a series names the service itself.
    service_id: int | None
    unit: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a threshold says of a subject now."""

    threshold: Threshold
    judged: Judged
    before: Standing
    after: Standing
    transitions: Sequence[Transition]

    @property
    def place(self) -> Place:
        """Where that stands."""
        return Place(self.threshold.pk, self.judged.subject)


class Assessor:
    """One round of judging: what is there, what applies, how it stands.

    `standings` as loaded; `now` is the moment that ages and windows end at;
    `awake_since` when we came back from a standstill, in which no sample could come in.
    """

    def __init__(
        self,
        *,
        scopes: Scopes,
        watched: Iterable[Watched],
        standings: Mapping[Place, Standing],
        now: datetime,
        awake_since: datetime | None = None,
    ) -> None:
        self._awake_since = awake_since
        self._scopes = scopes
        self._standings = standings
        self._now = now
        self.monitors = {row.monitor_id: row for row in watched}
        self.series = _series_of(scopes)
        # The subjects that each threshold is held against now, by their keys.
        self._subjects: dict[int, list[int]] = defaultdict(list)
        self._held: dict[int, Threshold] = {}

    def assess(self) -> list[Assessment]:
        """Return every assessment that changes something worth writing."""
        self._assign()
        groups: dict[tuple[str, str, int], list[Threshold]] = defaultdict(list)
        for threshold in self._held.values():
            groups[measured_as(threshold)].append(threshold)
        return [
            assessment
            for group, thresholds in groups.items()
            if is_due(window_s=group[2], at=self._now.timestamp())
            for assessment in self._assess_each(group, thresholds)
        ]

    def applies(self, place: Place, threshold: Threshold) -> bool:
        """Whether a threshold still has anything to say at a place."""
        if place.subject.kind == MONITOR:
            row = self.monitors.get(place.subject.id)
            if row is None:
                return False
            return threshold in self._of_monitor(row).get(threshold.measure, ())
        series = self.series.get(place.subject.id)
        return series is not None and threshold in self._of_series(
            threshold.measure, series
        )

    def may_raise(self, place: Place) -> bool:
        """Whether an alert may be raised there now: not in a window, not unknown."""
        if place.subject.kind == SERIES:
            return True
        row = self.monitors.get(place.subject.id)
        if row is None or not row.is_fresh:
            return False
        return row.is_answering or row.is_down

    def judged(self, subject: Subject) -> Judged:
        """Return a subject as an alert speaks of it."""
        if subject.kind == MONITOR:
            row = self.monitors[subject.id]
            return Judged(subject, row.name, row.service_id, "")
        series = self.series[subject.id]
        name = say_series(series.name, series.labels)
        return Judged(subject, name, None, series.unit)

    def _assign(self) -> None:
        for row in self.monitors.values():
            if not row.is_fresh or not (row.is_answering or row.is_down):
                continue
            for measure, thresholds in self._of_monitor(row).items():
                if measure == Measure.DOWN or (
                    row.is_down and measure not in _ALSO_WHEN_DOWN
                ):
                    continue
                for threshold in thresholds:
                    self._hold(threshold, row.monitor_id)
        for series in self.series.values():
            for measure in (Measure.SERIES, Measure.NO_DATA):
                for threshold in self._of_series(measure, series):
                    self._hold(threshold, series.pk)

    def _hold(self, threshold: Threshold, subject_id: int) -> None:
        key = threshold.pk
        self._held[key] = threshold
        self._subjects[key].append(subject_id)

    def _of_monitor(self, row: Watched) -> Mapping[str, Sequence[Threshold]]:
        return self._scopes.for_monitor(
            monitor_id=row.monitor_id, service_id=row.service_id, tags=row.tags
        )

    def _of_series(self, measure: str, series: Series) -> Sequence[Threshold]:
        return self._scopes.for_series(
            measure=measure, name=series.name, labels=series.labels
        )

    def _assess_each(
        self, group: tuple[str, str, int], thresholds: list[Threshold]
    ) -> list[Assessment]:
        """Judge a group, and singly where one of it can't be judged."""
        try:
            return self._assess_group(group, thresholds)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("can't judge: %s", ", ".join(map(str, thresholds)))
        if len(thresholds) == 1:
            return []
        return [
            assessment
            for threshold in thresholds
            for assessment in self._assess_each(group, [threshold])
        ]

    def _assess_group(
        self, group: tuple[str, str, int], thresholds: list[Threshold]
    ) -> list[Assessment]:
        """Judge the thresholds that share one measurement."""
        measure = group[0]
        kind = SERIES if measure in (Measure.SERIES, Measure.NO_DATA) else MONITOR
        measurements = self._measure(group, thresholds, kind)
        found = []
        for threshold in thresholds:
            spec = spec_of(threshold)
            for subject_id in self._subjects[threshold.pk]:
                values = measurements.get(subject_id)
                if not values:
                    continue
                place = Place(threshold.pk, Subject(kind, subject_id))
                before = self._standings.get(place, _NEVER)
                after, transitions = judge(
                    spec=spec, standing=before, measurements=values
                )
                if transitions or is_worth_writing(
                    before, after, is_series=kind == SERIES
                ):
                    found.append(
                        Assessment(
                            threshold=threshold,
                            judged=self.judged(place.subject),
                            before=before,
                            after=after,
                            transitions=transitions,
                        )
                    )
        return found

    def _measure(
        self, group: tuple[str, str, int], thresholds: list[Threshold], kind: str
    ) -> Mapping[int, Sequence[Measurement]]:
        measure, aggregate, window_s = group
        ids = {
            subject
            for threshold in thresholds
            for subject in self._subjects[threshold.pk]
        }
        interest = self._interest(thresholds, kind)
        if measure == Measure.SERIES and not window_s:
            return self._newest_samples(thresholds, ids)
        if measure == Measure.SERIES or measure in _SOURCES:
            source = _SOURCES.get(Measure(measure), measuring.SAMPLES)
            floors = quiet_until if kind == MONITOR else _no_floors
            if not window_s:
                return measuring.each_value(
                    source=source,
                    subjects=ids,
                    since=self._now - LOOKBACK,
                    until=self._now,
                    floors=floors,
                    interest=interest,
                )
            return measuring.window_value(
                source=source,
                aggregate=aggregate,
                subjects=ids,
                since=self._now - timedelta(seconds=window_s),
                until=self._now,
                floors=floors,
                interest=interest,
            )
        found = {}
        for subject in ids:
            value = self._direct(measure, subject)
            if value is not None and interest.wants(subject, value):
                at = self._judged_at(kind, subject)
                found[subject] = [Measurement(value=value, at=at)]
        return found

    def _interest(self, thresholds: Iterable[Threshold], kind: str) -> Interest:
        """What could change a standing: values over a bound, and all where one stands."""
        interest = Interest()
        pks = set()
        for threshold in thresholds:
            pks.add(threshold.pk)
            low, high = spec_of(threshold).harmless
            interest.low = max(interest.low, low)
            interest.high = min(interest.high, high)
        interest.of = {
            place.subject.id
            for place, standing in self._standings.items()
            if place.threshold_id in pks
            and place.subject.kind == kind
            and (standing.level is not Level.OK or standing.breach_count)
        }
        return interest

    def _newest_samples(
        self, thresholds: Iterable[Threshold], ids: Iterable[int]
    ) -> Mapping[int, Sequence[Measurement]]:
        """Return the values since each series was last judged, however late they came."""
        pks = [threshold.pk for threshold in thresholds]
        floors: dict[int, datetime] = {}
        for series_id in ids:
            last_at = self.series[series_id].last_at
            if last_at is None:
                continue
            floor = min(
                self._standings.get(
                    Place(pk, Subject(SERIES, series_id)), _NEVER
                ).judged_until
                or last_at - _FIRST_LOOK
                for pk in pks
            )
            if floor < last_at:
                floors[series_id] = floor
        if not floors:
            return {}
        return measuring.each_value(
            source=measuring.SAMPLES,
            subjects=floors,
            since=min(floors.values()),
            until=self._now,
            floors=lambda **_: floors,
            interest=Interest(of=set(floors)),
        )

    def _direct(self, measure: str, subject_id: int) -> float | None:
        """Return what needs no query of its own, None where there is nothing."""
        if measure == Measure.NO_DATA:
            last_at = self.series[subject_id].last_at
            if last_at is None:
                return None
            heard_at = max(last_at, self._awake_since or last_at)
            return (self._now - heard_at).total_seconds()
        row = self.monitors[subject_id]
        return (
            row.failure_count if measure == Measure.FAILURES else row.certificate_days
        )

    def _judged_at(self, kind: str, subject_id: int) -> datetime:
        """Return as of when a direct value counts: of a monitor, its last result."""
        last = self.monitors[subject_id].last_result if kind == MONITOR else None
        return self._now if last is None else datetime.fromtimestamp(last, tz=UTC)


_NEVER = Standing()


def _no_floors(**_: datetime) -> Mapping[int, datetime]:
    return {}


def _series_of(scopes: Scopes) -> dict[int, Series]:
    names = scopes.series_names
    if not names:
        return {}
    return {series.pk: series for series in Series.objects.filter(name__in=names)}


def measured_as(threshold: Threshold) -> tuple[str, str, int]:
    """Return measure, aggregate and window: what one measurement serves in common.

    A last value has no window, and a share of failures is always an average.
    """
    measure, aggregate = threshold.measure, threshold.aggregate
    window_s = threshold.window_s
    if measure == Measure.ERROR_RATIO:
        aggregate = Threshold.Aggregate.AVG
    elif measure not in (Measure.LATENCY, Measure.SERIES) or (
        aggregate == Threshold.Aggregate.LAST
    ):
        window_s = 0
    return measure, aggregate if window_s else Threshold.Aggregate.LAST, window_s
