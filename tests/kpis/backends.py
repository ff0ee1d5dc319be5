"""A source that answers what a test tells it to, at the edge of `kpis.sources`."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from kpis.models import Kpi
from kpis.reading import Question, Reading, Reason, Span, UnableToRead
from tests.kpis.making import make_kpi, make_source


class Backend:
    """Answers `otherwise`, or what stands in `values` for a JSON path.

    An answer is a number, a reason why there is none, or made from the bucket. A
    question whose path has a gate waits there.
    """

    def __init__(self, otherwise: Any = 1, **values: Any) -> None:
        self.otherwise = otherwise
        self.values: Mapping[str, Any] = values
        self.asked: list[tuple[datetime, datetime]] = []
        self.gates: dict[str, threading.Event] = {}

    def read(
        self, question: Question, buckets: Sequence[Span], now: datetime
    ) -> Generator[Reading | UnableToRead]:
        for bucket in buckets:
            self.asked.append((bucket.looks_from, bucket.end))
            if question.json_path in self.gates:
                self.gates[question.json_path].wait(10)
            found = self.values.get(question.json_path, self.otherwise)
            if callable(found):
                found = found(bucket)
            if isinstance(found, Reason):
                yield UnableToRead(found, f"It said {found}")
            else:
                yield Reading(value=Decimal(found), took_ms=1.0, sample={"a": found})


def make_sql_kpi(**values: Any) -> Kpi:
    """A daily KPI of a source that looks back."""
    if "source" not in values:
        values["source"] = make_source(kind="postgres")
    return make_kpi(**values)
