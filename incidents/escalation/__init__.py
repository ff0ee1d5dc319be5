"""Who is told when: plain values in, plain values out. Imports no rows.

`policy` is what an incident follows and keeps; `planning` says which step is due at
what moment; `expanding` turns steps into deliveries; `returning` knows what comes back.
Paging and the simulator call the same functions.
"""

from __future__ import annotations

from incidents.escalation.policy import GUIDE, Hours, Policy, Step, read, snapshot
from incidents.escalation.returning import FLAP_WINDOW, RECENTLY_TOLD, is_flap

__all__ = [
    "FLAP_WINDOW",
    "GUIDE",
    "RECENTLY_TOLD",
    "Hours",
    "Policy",
    "Step",
    "is_flap",
    "read",
    "snapshot",
]
