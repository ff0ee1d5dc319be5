"""What an import did or would do, and how a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.utils.translation import gettext as _


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one row, as people read it."""

    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that is created (without changes) or changed."""

    label: str
    changes: tuple[Change, ...] = ()


@dataclass(slots=True)
class SectionReport:
    """What happened to one section."""

    name: str
    rows: list[RowChange] = field(default_factory=list)
    unchanged_count: int = 0
    # Rows that the database has and the file doesn't.
    left_alone_count: int = 0

    @property
    def created_count(self) -> int:
        """Rows that were not there."""
        return sum(not row.changes for row in self.rows)

    @property
    def changed_count(self) -> int:
        """Rows that were there and looked different."""
        return len(self.rows) - self.created_count

    def sums(self) -> str:
        """Return the counts that are not 0, in words."""
        counts = [
            (self.created_count, _("%(count)d created")),
            (self.changed_count, _("%(count)d changed")),
            (self.unchanged_count, _("%(count)d unchanged")),
            (self.left_alone_count, _("%(count)d not in the file, left alone")),
        ]
        return ", ".join(text % {"count": count} for count, text in counts if count)


@dataclass(frozen=True, slots=True)
class Report:
    """What happened to all sections, in their order."""

    sections: tuple[SectionReport, ...]
    # When nobody would be on call although somebody is so far.
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is created and nothing changed."""
        return not any(section.rows for section in self.sections)

    def lines(self) -> Iterator[str]:
        """Yield the diff: `+` a created row, `~` a changed one with each field, `!` a gap."""
        for section in self.sections:
            sums = section.sums()
            if not sums:
                continue
            yield f"{section.name}: {sums}"
            for row in section.rows:
                yield f"  {'~' if row.changes else '+'} {row.label}"
                for change in row.changes:
                    yield f"      {change.name}: {change.old} → {change.new}"
        for warning in self.warnings:
            yield f"! {warning}"
