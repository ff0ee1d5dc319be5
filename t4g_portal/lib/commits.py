"""How a commit is written."""

from __future__ import annotations

# Also the pattern in the database and in the schema: SHA-1 and SHA-256, whole or cut.
COMMIT = r"^[0-9a-f]{7,64}$"
_SHOWN = 7


def short(sha: str) -> str:
    """Return the digits that people read."""
    return sha[:_SHOWN]


def is_same(one: str, other: str) -> bool:
    """Whether two may name the same commit: one of them can be cut."""
    return one.startswith(other) or other.startswith(one)
