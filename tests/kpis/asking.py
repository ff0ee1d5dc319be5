"""One question to a source, the way the engine asks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kpis.reading import Question, Span
from kpis.sources import registry
from tests.kpis.business import day


def answers(question: Question, *buckets: Span, now: datetime) -> list[Any]:
    """The answers of a source, one a bucket; a day of March unless told otherwise."""
    return list(registry.read(question, buckets or (day(),), now=now))


def only_answer(
    question: Question, bucket: Span | None = None, *, now: datetime
) -> Any:
    """The answer for one bucket."""
    (answer,) = answers(question, bucket or day(), now=now)
    return answer
