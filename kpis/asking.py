"""What a source is asked for a version of a KPI."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kpis.models import DataSource
from kpis.reading import Question
from kpis.sources import checking, registry


def question_for(*, source: DataSource, calculation: Mapping[str, Any]) -> Question:
    """Return the question of a version's calculation; raises UnableToRead.

    `source` gives the address and the secret as they are now: a password that changes
    makes no new version.
    """
    return replace(
        checking.question_of(source),
        sql=calculation["sql"],
        json_path=calculation["json_path"],
        measure=calculation["measure"],
        measure_target=calculation["measure_target"],
        time_zone=calculation["time_zone"],
    )


def can_look_back(kind: str) -> bool:
    """Whether a kind of source knows about the past, or only about now."""
    found = registry.KINDS.get(kind)
    return found is not None and found.can_look_back


def sql_sha256(calculation: Mapping[str, Any]) -> str:
    """Return which SQL it was, without showing it; empty when there is none."""
    sql = str(calculation["sql"])
    return hashlib.sha256(sql.encode()).hexdigest() if sql else ""
