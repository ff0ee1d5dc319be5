"""From checked rows to the database: what is new is created, what differs changed.

Nothing is ever deleted but the lines of an ordered list that the file replaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DataError, IntegrityError, transaction
from django.utils.translation import gettext as _

from t4g_portal.configuration.columns import (
    Column,
    ReferenceColumn,
    ReferenceListColumn,
)
from t4g_portal.configuration.problems import Problem
from t4g_portal.configuration.report import Change, Report, RowChange, SectionReport
from t4g_portal.configuration.stock import Stock
from t4g_portal.configuration.tables import Part, RowSpec, Section, Table
from t4g_portal.configuration.values import shown


class _LostReference(Exception):
    """A row refers to one that could not be created."""

    def __init__(self, column: ReferenceColumn, name: str) -> None:
        super().__init__(name)
        self.column = column
        self.name = name


@dataclass(slots=True)
class Writer:
    """Writes rows into a transaction of the caller's.

    A row that the database refuses becomes a problem and leaves nothing behind.
    `is_lenient`: lists of references lose members that don't exist.
    """

    stock: Stock
    is_lenient: bool = False
    problems: list[Problem] = field(default_factory=list)
    # Model and name of rows refused so far: what refers to them is no news.
    refused: set[tuple[Any, str]] = field(default_factory=set)

    def write(
        self, *, sections: Sequence[Section], rows: dict[str, list[RowSpec]]
    ) -> Report:
        """Write all sections in their order, so that references find their rows."""
        return Report(
            sections=tuple(self._section(each, rows[each.name]) for each in sections)
        )

    def _section(self, section: Section, rows: list[RowSpec]) -> SectionReport:
        report = SectionReport(name=section.name)
        keys = {row.key for row in rows}
        report.left_alone_count = len(self.stock.rows[section.name].keys() - keys)
        for spec in rows:
            row = self.stock.get(section, spec.key)
            is_new = row is None
            try:
                with transaction.atomic():
                    if is_new:
                        row = section.model()
                    changes, left_alone_count = self._row(spec, row)
            except (ValidationError, IntegrityError, DataError) as error:
                self._refuse(spec, _refusals(spec, error))
                continue
            except _LostReference as lost:
                is_news = (lost.column.target, lost.name) not in self.refused
                self._refuse(
                    spec, [spec.lost(lost.column, lost.name)] if is_news else []
                )
                continue
            report.left_alone_count += left_alone_count
            if is_new:
                self.stock.add(section, row)
                report.rows.append(RowChange(spec.label))
            elif changes:
                report.rows.append(RowChange(spec.label, tuple(changes)))
            else:
                report.unchanged_count += 1
        return report

    def _refuse(self, spec: RowSpec, problems: list[Problem]) -> None:
        self.problems += problems
        self.refused.add((spec.table.model, spec.label))

    def _row(self, spec: RowSpec, row: Any) -> tuple[list[Change], int]:
        changes = self._save(spec, row)
        left_alone_count = 0
        for name, parts in spec.parts.items():
            part = next(p for p in _parts(spec.table) if p.name == name)
            if part.key:
                changes += self._keyed_parts(part, parts, row)
                left_alone_count += len(
                    _stored(part, row).keys() - {each.key for each in parts}
                )
            else:
                changes += self._listed_parts(part, parts, row)
        return changes, left_alone_count

    def _save(self, spec: RowSpec, row: Any, **fixed: Any) -> list[Change]:
        """Put the values of `spec` into a row, new or not, and save what differs."""
        is_new = row._state.adding
        differing = [
            column
            for column in spec.table.columns
            if is_new or not column.is_same(row, spec.values[column.name])
        ]
        changes = [
            Change(
                name=column.key,
                old=column.show(column.get(row)),
                new=column.show(spec.values[column.name]),
            )
            for column in differing
            if not is_new
        ]
        lists = {
            column.name: self._find(spec, column)
            for column in differing
            if isinstance(column, ReferenceListColumn)
        }
        for column in differing:
            if column.name not in lists:
                setattr(row, column.name, self._attribute(spec, column))
        for name, value in fixed.items():
            setattr(row, name, value)
        if is_new:
            row.full_clean()
            row.save(force_insert=True)
        elif names := [c.name for c in differing if c.name not in lists] + list(fixed):
            row.full_clean(exclude=set(spec.table.secrets()) - set(names))
            row.save(update_fields=names)
        for name, others in lists.items():
            getattr(row, name).set(others)
        return changes

    def _attribute(self, spec: RowSpec, column: Column) -> Any:
        if isinstance(column, ReferenceColumn):
            found = self._find(spec, column)
            return found[0] if found else None
        return column.stored(spec.values[column.name])

    def _find(self, spec: RowSpec, column: ReferenceColumn) -> list[Any]:
        names = column.named(spec.values[column.name])
        found = self.stock.find(column.target, names)
        is_list = isinstance(column, ReferenceListColumn)
        if not (is_list and self.is_lenient):
            for name in set(names) - self.stock.names(column.target):
                raise _LostReference(column, name)
        return found

    def _keyed_parts(self, part: Part, specs: list[RowSpec], row: Any) -> list[Change]:
        stored = _stored(part, row)
        changes = []
        for spec in specs:
            child = stored.get(spec.key)
            label = f"{part.name} {spec.label}"
            if child is None:
                self._save(spec, part.model(), **{part.parent: row})
                changes.append(Change(name=label, old="–", new=_("created")))
            else:
                changes += [
                    Change(f"{label}, {each.name}", each.old, each.new)
                    for each in self._save(spec, child)
                ]
        return changes

    def _listed_parts(self, part: Part, specs: list[RowSpec], row: Any) -> list[Change]:
        children = list(getattr(row, part.name).all())
        old = [[column.get(child) for column in part.columns] for child in children]
        new = [[spec.values[column.name] for column in part.columns] for spec in specs]
        if old == new:
            return []
        for child in children:
            child.delete()
        for position, spec in enumerate(specs):
            self._save(
                spec, part.model(), **{part.parent: row, part.position: position}
            )
        return [Change(name=part.name, old=shown(old), new=shown(new))]


def _parts(table: Table) -> tuple[Part, ...]:
    return table.parts if isinstance(table, Section) else ()


def _stored(part: Part, row: Any) -> dict[tuple[str, ...], Any]:
    return {part.key_of(child): child for child in getattr(row, part.name).all()}


def _refusals(
    spec: RowSpec, error: ValidationError | IntegrityError | DataError
) -> list[Problem]:
    if isinstance(error, ValidationError):
        return [
            Problem(
                spec.line_of(name),
                f"{spec.path}: {' '.join(messages)}"
                if name == NON_FIELD_ERRORS
                else f"{spec.path}, {name}: {' '.join(messages)}",
            )
            for name, messages in error.message_dict.items()
        ]
    said = getattr(getattr(error.__cause__, "diag", None), "message_primary", "")
    return [
        Problem(
            spec.line,
            _("%(where)s: The database refuses it: %(why)s.")
            % {"where": spec.path, "why": said or type(error).__name__},
        )
    ]
