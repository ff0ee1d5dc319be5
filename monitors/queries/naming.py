"""How monitors are called, for the floors below that know only their numbers."""

from __future__ import annotations

from collections.abc import Collection

from monitors.models import Monitor


def names_of(numbers: Collection[int]) -> dict[int, str]:
    """Return the names of the monitors that exist, one query."""
    found = Monitor.objects.filter(pk__in=numbers).values_list("pk", "name")
    return dict(found)
