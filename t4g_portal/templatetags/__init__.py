"""Template tags of the shell."""

from __future__ import annotations
