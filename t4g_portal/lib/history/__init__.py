"""Who changed which part of the configuration, when, from what to what."""

from __future__ import annotations

from t4g_portal.lib.history.acts import HistoryMiddleware, Via, acting
from t4g_portal.lib.history.tracking import is_tracked, note, track, tracked_models

__all__ = [
    "HistoryMiddleware",
    "Via",
    "acting",
    "is_tracked",
    "note",
    "track",
    "tracked_models",
]
