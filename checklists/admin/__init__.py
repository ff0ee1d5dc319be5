"""Templates, which people edit, and what runs left behind, which they look at."""

from __future__ import annotations

from checklists.admin import anchor, gate, records, template

__all__ = ["anchor", "gate", "records", "template"]
