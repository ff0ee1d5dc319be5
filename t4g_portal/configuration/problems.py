"""What is wrong with a file, and in which line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One reason not to import, at a line counted from 1."""

    line: int
    message: str


class UnableToImport(Exception):
    """A file can't be imported; nothing was written. `problems` says why, by line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("; ".join(f"{p.line}: {p.message}" for p in self.problems))


class UnableToRead(Exception):
    """One value makes no sense; whoever reads it knows the line."""

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
