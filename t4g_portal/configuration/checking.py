"""What can only be checked with the whole file and the stored rows at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from t4g_portal.configuration.columns import ReferenceColumn, SecretColumn
from t4g_portal.configuration.problems import Problem
from t4g_portal.configuration.stock import Stock
from t4g_portal.configuration.tables import Candidate, Fault, RowSpec, Section


def find_problems(
    *, sections: Sequence[Section], rows: dict[str, list[RowSpec]], stock: Stock
) -> Iterator[Problem]:
    """Yield references that lead nowhere and what the sections' own checks find."""
    names = _names(sections, rows, stock)
    future = _Future(sections, rows, stock, names)
    for section in sections:
        for row in rows[section.name]:
            yield from _lost_references(row, names)
            for part in chain.from_iterable(row.parts.values()):
                yield from _lost_references(part, names)
            if row.is_valid:
                candidate = _candidate(row, stock.get(section, row.key), future)
                for fault in section.check(candidate):
                    yield _problem(row, fault)


@dataclass(frozen=True, slots=True)
class _Future:
    """The configuration as it would be after the import."""

    sections: Sequence[Section]
    rows: dict[str, list[RowSpec]]
    stock: Stock
    names: dict[Any, set[str]]

    def values_of(self, model: Any, name: str) -> Mapping[str, Any]:
        """Return the values of a row: those of the file before the stored ones."""
        section = next(each for each in self.sections if each.model is model)
        for row in self.rows[section.name]:
            if row.is_valid and row.key == (name,):
                return row.values
        stored = self.stock.get(section, (name,))
        if stored is None:
            return {}
        return {column.name: column.get(stored) for column in section.columns}


def _names(
    sections: Sequence[Section], rows: dict[str, list[RowSpec]], stock: Stock
) -> dict[Any, set[str]]:
    """Return what can be referred to, by model: stored rows and those of the file."""
    names: dict[Any, set[str]] = {}
    for section in sections:
        if len(section.key) != 1:
            continue
        # A row with another problem exists all the same: one mistake, one message.
        in_file = {str(row.values.get(section.key[0])) for row in rows[section.name]}
        names[section.model] = stock.names(section.model) | in_file
    return names


def _lost_references(row: RowSpec, names: dict[Any, set[str]]) -> Iterator[Problem]:
    for column in row.table.columns:
        if not isinstance(column, ReferenceColumn) or column.name not in row.values:
            continue
        for name in column.named(row.values[column.name]):
            if name not in names[column.target]:
                yield row.lost(column, name)
    for parts in row.parts.values():
        for part in parts:
            yield from _lost_references(part, names)


def _candidate(row: RowSpec, stored: Any, future: _Future) -> Candidate:
    columns = {c.name: c for c in row.table.columns if isinstance(c, SecretColumn)}
    references = {
        c.name: c for c in row.table.columns if isinstance(c, ReferenceColumn)
    }

    def secret(name: str) -> str:
        if row.values[name] is not None or stored is None:
            return columns[name].stored(row.values[name])
        return columns[name].reveal(stored)

    def referred(name: str) -> Mapping[str, Any]:
        value = row.values[name]
        return {} if value is None else future.values_of(references[name].target, value)

    before = (
        {} if stored is None else {c.name: c.get(stored) for c in row.table.columns}
    )
    return Candidate(
        values=row.values,
        before=before,
        parts={
            name: [part.values for part in parts] for name, parts in row.parts.items()
        },
        secret=secret,
        referred=referred,
        names=lambda model: future.names[model],
    )


def _problem(row: RowSpec, fault: Fault) -> Problem:
    where = [row.path]
    spot = row
    if fault.part:
        spot = row.parts[fault.part][fault.index]
        where.append(f"{fault.part}[{fault.index + 1}]")
    name = f"{fault.column}.{fault.inside}" if fault.inside else fault.column
    where.append(name)
    # A secret stands in the file under another name.
    line = spot.line_of(name, fault.column, f"{fault.column}_env")
    return Problem(line, f"{', '.join(where)}: {fault.message}")
