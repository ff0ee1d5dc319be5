"""Schedules in the admin: rotations and people, overrides, absences; the past to look at."""

from __future__ import annotations

from incidents.admin.oncall import cover, past, rotation, schedule

__all__ = ["cover", "past", "rotation", "schedule"]
