"""What pages ask about monitors: few queries, each of a number that never grows."""

from __future__ import annotations

from monitors.queries.shown import shown_since, shown_status

__all__ = ["shown_since", "shown_status"]
