"""Checklists, gates and the audit chain in `/api/`."""
