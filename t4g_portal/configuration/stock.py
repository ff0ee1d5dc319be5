"""The rows that the database has, by section and natural key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from t4g_portal.configuration.columns import ReferenceColumn
from t4g_portal.configuration.tables import Section, Table


@dataclass(slots=True)
class Stock:
    """All rows of all sections. Secrets are left where they are until asked for."""

    rows: dict[str, dict[tuple[str, ...], Any]] = field(default_factory=dict)
    section_of: dict[Any, str] = field(default_factory=dict)

    @classmethod
    def load(cls, sections: Sequence[Section]) -> Stock:
        """Read the sections in a fixed number of queries."""
        stock = cls()
        for section in sections:
            stock.section_of[section.model] = section.name
            stock.rows[section.name] = {
                section.key_of(row): row for row in _queryset(section)
            }
        return stock

    def get(self, section: Section, key: tuple[str, ...]) -> Any | None:
        """Return a row, or None when there is none."""
        return self.rows[section.name].get(key)

    def add(self, section: Section, row: Any) -> None:
        """Remember a row that was just created."""
        self.rows[section.name][section.key_of(row)] = row

    def names(self, model: Any) -> set[str]:
        """Return the names by which rows of a model can be referred to."""
        return {key[0] for key in self.rows[self.section_of[model]]}

    def find(self, model: Any, names: Iterable[str]) -> list[Any]:
        """Return the rows of a model that have these names; the others are left out."""
        rows = self.rows[self.section_of[model]]
        return [rows[(name,)] for name in names if (name,) in rows]


def _queryset(section: Section) -> models.QuerySet[Any]:
    rows = _with_references(section.model._default_manager.all(), section)
    for part in section.parts:
        order = (part.position, "pk") if part.position else ("pk",)
        children = part.model._default_manager.order_by(*order)
        children = _with_references(children, part)
        rows = rows.prefetch_related(models.Prefetch(part.name, queryset=children))
    return rows.defer(*section.secrets())


def _with_references(rows: models.QuerySet[Any], table: Table) -> models.QuerySet[Any]:
    for column in table.columns:
        if isinstance(column, ReferenceColumn):
            # Only their names: referred rows have secrets too.
            others = column.target._default_manager.only(column.target_key)
            rows = rows.prefetch_related(models.Prefetch(column.name, queryset=others))
    return rows
