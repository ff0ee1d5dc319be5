"""When a measurement is a problem: scopes, measures, judgement, alerts."""

from __future__ import annotations
