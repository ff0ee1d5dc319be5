"""In which order workers get the tests: the longest start first, so that none ends alone.

`--dist worksteal` gives each worker an equal share of what was collected, in that order;
who is through takes from the end of another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import pytest

# Whole portals: they wait for real intervals most of the time. The longest come first.
WAITING = (
    "tests/faults/test_broker_and_database.py",
    "tests/faults/test_killed.py",
    "tests/flows/test_demo.py",
    "tests/flows/test_production_shape.py",
    "tests/flows/",
    "tests/faults/",
    "tests/browser/",
    "tests/t4g_portal/test_launcher.py",
)
# They only compute, minutes together.
COMPUTING = (
    "tests/access/",
    "tests/api/test_conformance.py",
    "tests/monitors/test_ledger_machine.py",
    "tests/incidents/test_climbing_machine.py",
)


def longest_first(items: Sequence[pytest.Item], *, workers: int) -> list[pytest.Item]:
    """Return the items so that each worker's share begins with long ones.

    One worker gets none of whole portals: it computes while the others wait. A file's
    tests stay together.
    """
    if workers < 2:
        return list(items)
    heads: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for number, file in enumerate(_files(items, WAITING)):
        heads[number % (workers - 1)] += file
    for file in _files(items, COMPUTING):
        heads[-1] += file
    long = {id(item) for head in heads for item in head}
    others = (item for item in items if id(item) not in long)
    ordered: list[pytest.Item] = []
    left = len(items)
    for number, head in enumerate(heads):
        share = left // (workers - number)
        left -= share
        ordered += [*head, *islice(others, max(share - len(head), 0))]
    return [*ordered, *others]


def _files(
    items: Sequence[pytest.Item], places: tuple[str, ...]
) -> list[list[pytest.Item]]:
    """The tests of each file in these places, in the order of the places."""

    def rank(item: pytest.Item) -> int:
        return next(
            (n for n, place in enumerate(places) if item.nodeid.startswith(place)),
            len(places),
        )

    files: dict[str, list[pytest.Item]] = {}
    for item in items:
        if rank(item) < len(places):
            # Not beside each other: pytest-django puts those without a database last.
            files.setdefault(item.nodeid.partition("::")[0], []).append(item)
    return sorted(files.values(), key=lambda file: rank(file[0]))
