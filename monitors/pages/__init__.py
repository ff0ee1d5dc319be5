"""What the pages of monitors draw and say; no query, no HTML."""

from __future__ import annotations
