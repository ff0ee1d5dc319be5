"""Which thresholds apply to what: of those on the same measure, the narrowest alone.

One monitor is narrower than a tag, a tag than a service, a service than everything;
for series, more labels are narrower than fewer. Thresholds that are equally narrow all
apply.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from monitors.models import Threshold

_SERIES_MEASURES = (Threshold.Measure.SERIES, Threshold.Measure.NO_DATA)


class Scopes:
    """The enabled thresholds, ready to be asked what applies."""

    def __init__(self, thresholds: Iterable[Threshold]) -> None:
        self._of_monitors: dict[str, list[Threshold]] = defaultdict(list)
        self._of_series: dict[tuple[str, str], list[Threshold]] = defaultdict(list)
        for threshold in thresholds:
            if threshold.measure in _SERIES_MEASURES:
                key = (threshold.measure, threshold.series_name)
                self._of_series[key].append(threshold)
            else:
                self._of_monitors[threshold.measure].append(threshold)
        # Monitors that no threshold names alone share their answer with their like.
        self._named = {
            threshold.monitor_id
            for group in self._of_monitors.values()
            for threshold in group
        }
        self._known: dict[tuple[Any, ...], Mapping[str, Sequence[Threshold]]] = {}

    @property
    def series_names(self) -> list[str]:
        """Names of the series that some threshold is about."""
        return sorted({name for _, name in self._of_series})

    def for_monitor(
        self, *, monitor_id: int, service_id: int, tags: Sequence[str]
    ) -> Mapping[str, Sequence[Threshold]]:
        """Return the thresholds that apply to a monitor, by measure."""
        name = monitor_id if monitor_id in self._named else None
        key = (name, service_id, *tags)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = {
                measure: _narrowest(
                    (_width(threshold), threshold)
                    for threshold in thresholds
                    if threshold.monitor_id in (None, monitor_id)
                    and threshold.service_id in (None, service_id)
                    and (not threshold.tag or threshold.tag in tags)
                )
                for measure, thresholds in self._of_monitors.items()
            }
        return found

    def for_series(
        self, *, measure: str, name: str, labels: Mapping[str, str]
    ) -> Sequence[Threshold]:
        """Return the thresholds on a measure that apply to a series."""
        return _narrowest(
            ((-len(threshold.series_labels),), threshold)
            for threshold in self._of_series.get((measure, name), ())
            if threshold.series_labels.items() <= labels.items()
        )


def _width(threshold: Threshold) -> tuple[int, ...]:
    """Smaller is narrower."""
    return (
        threshold.monitor_id is None,
        not threshold.tag,
        threshold.service_id is None,
    )


def _narrowest(
    candidates: Iterable[tuple[tuple[int, ...], Threshold]],
) -> Sequence[Threshold]:
    found = list(candidates)
    if not found:
        return ()
    narrowest = min(width for width, _ in found)
    return [threshold for width, threshold in found if width == narrowest]
