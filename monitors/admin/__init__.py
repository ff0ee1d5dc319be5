"""What ops edit of monitors, and what the engine wrote to look at."""

from __future__ import annotations

from monitors.admin import drills, monitor, records, threshold, windows

__all__ = ["drills", "monitor", "records", "threshold", "windows"]
