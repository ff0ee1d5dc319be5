"""Whom KPIs are asked of: one file a kind, found through `registry`."""
