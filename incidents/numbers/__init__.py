"""How fast people are, how often they are disturbed, and by what."""

from __future__ import annotations
