"""No CHECK lets through what it was written to refuse because something is NULL.

PostgreSQL accepts a row whose condition is unknown: `ended_at >= opened_at` holds back no
row without `ended_at`. So each condition is worked out here, for each of its fields being
NULL and for each value that it names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.db.models import F, Q

_OTHER = object()


def _checks() -> Iterator[tuple[type[models.Model], models.CheckConstraint]]:
    for model in apps.get_models():
        for constraint in model._meta.constraints:
            if isinstance(constraint, models.CheckConstraint):
                yield model, constraint


def _leaves(condition: Q) -> Iterator[tuple[str, Any]]:
    for child in condition.children:
        if isinstance(child, Q):
            yield from _leaves(child)
        else:
            assert isinstance(child, tuple), f"{child!r} can't be worked out here"
            yield child


def _split(lookup: str) -> tuple[str, str]:
    name, _, kind = lookup.partition("__")
    return name, kind or "exact"


def _others(value: Any) -> set[str]:
    """Return the fields that a value is made of."""
    if isinstance(value, F):
        return {value.name}
    if hasattr(value, "get_source_expressions"):
        parts = [_others(part) for part in value.get_source_expressions()]
        return set().union(*parts)
    return set()


def _is_known(kind: str, value: Any) -> bool:
    return kind in ("exact", "in", "isnull") and not _others(value)


def _truth(
    condition: Any, row: Mapping[str, Any], free: Mapping[str, bool]
) -> bool | None:
    """Return whether a condition holds, None for PostgreSQL's NULL.

    `free`: lookups of which we only know that they can be true or false.
    """
    if isinstance(condition, tuple):
        lookup, value = condition
        return _leaf_truth(lookup, value, row, free)
    truths = [_truth(child, row, free) for child in condition.children]
    decides = condition.connector == Q.OR
    if decides in truths:
        truth: bool | None = decides
    else:
        truth = None if None in truths else not decides
    return not truth if condition.negated and truth is not None else truth


def _leaf_truth(
    lookup: str, value: Any, row: Mapping[str, Any], free: Mapping[str, bool]
) -> bool | None:
    name, kind = _split(lookup)
    if kind == "isnull" or value is None:
        return (row[name] is None) == (value is not False)
    if any(row[each] is None for each in {name, *_others(value)}):
        return None
    if not _is_known(kind, value):
        return free[f"{lookup} {value!r}"]
    return row[name] in value if kind == "in" else row[name] == value


def _unknown_row(model: type[models.Model], condition: Any) -> dict[str, Any] | None:
    """Return the values of a row for which the condition is neither true nor false."""
    values: dict[str, set[Any]] = {}
    free: set[str] = set()
    for lookup, value in _leaves(condition):
        name, kind = _split(lookup)
        for each in {name, *_others(value)}:
            column: Any = model._meta.get_field(each)
            values.setdefault(each, {_OTHER} | ({None} if column.null else set()))
        if not _is_known(kind, value):
            free.add(f"{lookup} {value!r}")
        elif kind != "isnull":
            values[name].update(value if kind == "in" else [value])
    for row in product(*values.values()):
        named = dict(zip(values, row, strict=True))
        for truths in product((False, True), repeat=len(free)):
            if _truth(condition, named, dict(zip(free, truths, strict=True))) is None:
                return {k: "…" if v is _OTHER else v for k, v in named.items()}
    return None


def test_no_check_is_unknown_whatever_is_null():
    holes = {
        constraint.name: row
        for model, constraint in _checks()
        if (row := _unknown_row(model, constraint.condition)) is not None
    }

    assert not holes, "PostgreSQL accepts rows that these don't describe"


class _Span(models.Model):
    """What the test of the test looks at; no table is made for it."""

    state = models.CharField(max_length=10)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "tests"
        managed = False


@pytest.mark.parametrize(
    ("condition", "is_hole"),
    [
        (Q(ends_at__gt=F("starts_at")), True),
        (Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), False),
        (Q(state="over", ends_at__gt=F("starts_at")) | Q(state="open"), True),
        (~Q(ends_at__gt=F("starts_at")), True),
        (Q(ends_at__isnull=False, ends_at__gt=F("starts_at")), False),
        (Q(state__in=["open", "over"]), False),
    ],
)
def test_hole_is_found_where_there_is_one(condition, is_hole):
    assert (_unknown_row(_Span, condition) is not None) is is_hole
