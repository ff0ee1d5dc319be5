"""The second pair of eyes: no page is lost, whatever happened to the engine's rows."""

from __future__ import annotations
