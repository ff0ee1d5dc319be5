"""Monitors whose target calls us."""

from __future__ import annotations
