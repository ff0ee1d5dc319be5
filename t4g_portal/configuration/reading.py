"""From the tree of a file to rows, each value checked by its own column."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from t4g_portal.configuration import document
from t4g_portal.configuration.columns import Column, SecretColumn
from t4g_portal.configuration.document import Items, Kind, Node, Scalar
from t4g_portal.configuration.problems import Problem, UnableToRead
from t4g_portal.configuration.tables import RowSpec, Section, Table
from t4g_portal.configuration.values import shown


@dataclass(slots=True)
class Reading:
    """The rows of a file by section, and what is wrong with it so far."""

    rows: dict[str, list[RowSpec]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def read_rows(
    *,
    root: document.Mapping,
    sections: Sequence[Section],
    environ: Mapping[str, str],
) -> Reading:
    """Read every row of every section; problems are collected, never raised."""
    return _Reader(sections=sections, environ=environ).read(root)


@dataclass(slots=True)
class _Reader:
    sections: Sequence[Section]
    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)

    def read(self, root: document.Mapping) -> Reading:
        known = {section.name: section for section in self.sections}
        rows: dict[str, list[RowSpec]] = {each.name: [] for each in self.sections}
        for name, node in root.entries.items():
            if name in known:
                rows[name] = self._rows(known[name], node)
            else:
                self._add(root.key_lines[name], _unknown(name, list(known)))
        return Reading(rows=rows, problems=self.problems)

    def _add(self, line: int, message: str) -> None:
        self.problems.append(Problem(line, message))

    def _rows(self, table: Table, node: Node) -> list[RowSpec]:
        if isinstance(node, Scalar) and node.kind is Kind.NOTHING:
            return []
        if not isinstance(node, Items):
            self._add(
                node.line,
                _("%(where)s: A list of rows is expected.") % {"where": table.name},
            )
            return []
        rows = [self._row(table, item) for item in node.nodes]
        self._refuse_repeated(rows)
        return rows

    def _refuse_repeated(self, rows: list[RowSpec]) -> None:
        first: dict[tuple[str, ...], RowSpec] = {}
        for row in rows:
            if not row.table.key or not row.is_valid:
                continue
            earlier = first.setdefault(row.key, row)
            if earlier is not row:
                row.is_valid = False
                self._add(
                    row.line,
                    _("%(where)s stands here a second time; first in line %(line)d.")
                    % {"where": row.path, "line": earlier.line},
                )

    def _row(self, table: Table, node: Node) -> RowSpec:
        row = RowSpec(table=table, line=node.line)
        if not isinstance(node, document.Mapping):
            row.is_valid = False
            self._add(
                node.line,
                _("%(where)s: A row with names and values is expected.")
                % {"where": table.name},
            )
            return row
        row.lines = dict(node.key_lines)
        before = len(self.problems)
        # The key first, so that every other problem can name the row.
        for column in sorted(table.columns, key=lambda c: c.name not in table.key):
            self._value(row, column, node)
        parts = getattr(table, "parts", ())
        for part in parts:
            entry = node.entries.get(part.name)
            row.parts[part.name] = self._rows(part, entry) if entry else []
        names = [column.key for column in table.columns] + [p.name for p in parts]
        for name in node.entries:
            if name not in names:
                self._add(node.key_lines[name], self._stranger(row, name, names))
        row.is_valid = len(self.problems) == before
        return row

    def _value(self, row: RowSpec, column: Column, node: document.Mapping) -> None:
        entry = node.entries.get(column.key)
        if entry is None:
            if column.is_required:
                self._add(
                    row.line,
                    _("%(where)s: “%(name)s” is missing.")
                    % {"where": row.path, "name": column.key},
                )
            else:
                row.values[column.name] = column.default
            return
        if isinstance(entry, document.Mapping):
            row.lines |= {
                f"{column.name}.{name}": line for name, line in entry.key_lines.items()
            }
        try:
            row.values[column.name] = column.read(entry, self.environ)
        except UnableToRead as error:
            self._add(
                error.line or entry.line,
                f"{row.path}, {column.key}: {error.message}",
            )

    @staticmethod
    def _stranger(row: RowSpec, name: str, names: list[str]) -> str:
        for column in row.table.columns:
            if isinstance(column, SecretColumn) and name == column.name:
                return _(
                    "%(where)s: Secrets are not written into files. Name the environment "
                    "variable that holds it: %(key)s."
                ) % {"where": row.path, "key": column.key}
        if name in row.table.moved:
            return f"{row.path}, {name}: {row.table.moved[name]}"
        return f"{row.path}: {_unknown(name, names)}"


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return _("%(name)s is unknown. Is “%(close)s” meant?") % {
            "name": shown(name),
            "close": close[0],
        }
    return _("%(name)s is unknown. Known are: %(known)s.") % {
        "name": shown(name),
        "known": ", ".join(known),
    }
