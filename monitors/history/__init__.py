"""Raw results in partitions, hourly rollups, and how long each is kept."""

from __future__ import annotations
