"""Why something can't be stored: which field, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason to refuse.

    `inside` names the part of a field that is an object, `index` the line of a field
    that is a list.
    """

    field: str
    message: str
    inside: str = ""
    index: int | None = None


class UnableToSave(Exception):
    """What was asked for makes no sense; nothing was written. `faults` say why."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        super().__init__(
            "; ".join(f"{one.field}: {one.message}" for one in self.faults)
        )


class ChangedMeanwhile(Exception):
    """Somebody else has changed the row since it was read; nothing was written."""
