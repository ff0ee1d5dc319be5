"""Writing expectations without a form of the admin; each is judged at once."""

from __future__ import annotations

from datetime import datetime

from incidents.expectations import keeping
from incidents.expectations.rules import expectation_faults
from incidents.models import ReachExpectation
from t4g_portal.lib import editing
from t4g_portal.lib.editing import Values


def create_expectation(*, values: Values, now: datetime) -> ReachExpectation:
    """Store a new expectation; raises UnableToSave."""
    row = editing.create(
        model=ReachExpectation, values=values, check=expectation_faults
    )
    keeping.judge_one(expectation_id=row.pk, now=now)
    return row


def change_expectation(
    *,
    expectation_id: int,
    values: Values,
    now: datetime,
    expected: str | None = None,
) -> ReachExpectation:
    """Change one; raises UnableToSave, ChangedMeanwhile, DoesNotExist."""
    row = editing.change(
        rows=ReachExpectation.objects.all(),
        pk=expectation_id,
        values=values,
        check=expectation_faults,
        expected=expected,
    )
    keeping.judge_one(expectation_id=row.pk, now=now)
    return row


def delete_expectation(*, expectation_id: int, expected: str | None = None) -> None:
    """Delete one; its alert ends at the next tick."""
    rows = ReachExpectation.objects.all()
    editing.delete(rows=rows, pk=expectation_id, expected=expected)
