"""Figures that people enter: there is nobody to ask."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import datetime

from django.utils.translation import pgettext

from kpis.reading import Question, Reading, Reason, Span, UnableToRead


def read(
    question: Question, buckets: Sequence[Span], now: datetime
) -> Generator[Reading | UnableToRead, None, None]:
    """Say so for each bucket."""
    for _bucket in buckets:
        yield UnableToRead(
            Reason.MANUAL, pgettext("stored", "Values of this KPI are entered by hand")
        )
