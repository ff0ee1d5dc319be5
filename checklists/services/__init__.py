"""What people, programs and the portal do with checklists: the only writers of records.

Each act locks its run first, checks, writes, and adds its entry to the audit chain in
the same transaction: no entry, no act. `Refused` says what to do instead.
"""

from __future__ import annotations

from checklists.services import (
    evidence,
    items,
    runs,
    signing,
    templates,
    waivers,
    windows,
)
from checklists.services.refusing import Refused

__all__ = [
    "Refused",
    "evidence",
    "items",
    "runs",
    "signing",
    "templates",
    "waivers",
    "windows",
]
