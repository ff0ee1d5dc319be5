"""Fixtures that the tests of the egress guard share with those of probes."""

from __future__ import annotations

from tests.monitors.conftest import authority, trusted

__all__ = ["authority", "trusted"]
