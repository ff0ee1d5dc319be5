"""What can stand in a file: sections, the parts of their rows, and rows as read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from t4g_portal.configuration.columns import (
    Column,
    ReferenceColumn,
    SecretColumn,
    column_for,
)
from t4g_portal.configuration.problems import Problem
from t4g_portal.configuration.values import shown


@dataclass(frozen=True, slots=True)
class Fault:
    """What a section's own check finds wrong with a row.

    `column` names the field; `inside` a name in a mapping column; `part` and `index`
    one of the row's parts.
    """

    column: str
    message: str
    inside: str = ""
    part: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row as it would become, for a section's check.

    `before` holds the stored row's values, nothing when there is none; `secret(column)`
    returns the new secret, or else the one already stored. `referred(column)` returns
    the values of the row that a column refers to, as that will be; nothing without one.
    `names(model)` returns the names that rows of a model will have.
    """

    values: Mapping[str, Any]
    before: Mapping[str, Any]
    parts: Mapping[str, Sequence[Mapping[str, Any]]]
    secret: Callable[[str], str]
    referred: Callable[[str], Mapping[str, Any]]
    names: Callable[[Any], Collection[str]]


Check = Callable[[Candidate], Iterable[Fault]]


def nothing_to_check(candidate: Candidate) -> Iterable[Fault]:
    """The check of a section whose columns say it all."""
    return ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one model: which fields stand in the file and which ones name a row.

    `left_out` are the model's other fields; a test sees to it that none is forgotten.
    """

    name: str
    model: Any
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    left_out: frozenset[str]
    # Names of older files, and where what they said has gone.
    moved: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def key_of(self, row: Any) -> tuple[str, ...]:
        """Return the natural key of a row of the database."""
        named = {column.name: column for column in self.columns}
        return tuple(str(named[name].get(row)) for name in self.key)

    def secrets(self) -> list[str]:
        """Return the names of the columns that are never read without need."""
        return [c.name for c in self.columns if isinstance(c, SecretColumn)]


@dataclass(frozen=True, slots=True)
class Part(Table):
    """Rows that belong to a row of a section.

    With a key they are told apart by it. Without one their order matters: they are a
    list that the file replaces as a whole.
    """

    # The foreign key to the section's row, and the column that keeps the order.
    parent: str
    position: str = ""


@dataclass(frozen=True, slots=True)
class Section(Table):
    """A top-level name of the file with its rows."""

    parts: tuple[Part, ...] = ()
    check: Check = nothing_to_check


def columns(
    model: Any, names: str, *, references: Mapping[Any, str] | None = None
) -> tuple[Column, ...]:
    """Return the columns of some fields, in the order in which they are exported.

    `names` are separated by blanks; `references` says by which field the rows of
    another model are named.
    """
    return tuple(
        column_for(model._meta.get_field(name), references=references or {})
        for name in names.split()
    )


@dataclass(slots=True)
class RowSpec:
    """One row of a file: plain values by field name, and where they stand."""

    table: Table
    line: int
    values: dict[str, Any] = field(default_factory=dict)
    # The line of each name of the row, and of each name inside a mapping ("a.b").
    lines: dict[str, int] = field(default_factory=dict)
    parts: dict[str, list[RowSpec]] = field(default_factory=dict)
    is_valid: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        """The natural key, which a valid row has."""
        return tuple(str(self.values[name]) for name in self.table.key)

    @property
    def label(self) -> str:
        """The row's name for people."""
        return ":".join(self.key)

    @property
    def path(self) -> str:
        """Where in the file this is, as far as the row is readable."""
        if self.table.key and all(name in self.values for name in self.table.key):
            return f"{self.table.name} {shown(self.label)}"
        return self.table.name

    def lost(self, column: ReferenceColumn, name: str) -> Problem:
        """Return the problem that a reference leads nowhere."""
        message = _("%(where)s, %(column)s: There is no %(model)s %(name)s.") % {
            "where": self.path,
            "column": column.name,
            "model": column.target._meta.verbose_name,
            "name": shown(name),
        }
        return Problem(self.line_of(column.name), message)

    def line_of(self, *names: str) -> int:
        """Return the line of the first of some names that stands in the file."""
        return next(
            (self.lines[name] for name in names if name in self.lines), self.line
        )
