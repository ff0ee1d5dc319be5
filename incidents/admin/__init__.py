"""What people edit of incidents and on-call, and what the engine wrote to look at."""

from __future__ import annotations

from incidents.admin import (
    deploying,
    expectation,
    incident,
    oncall,
    policy,
    service,
    together,
)

__all__ = [
    "deploying",
    "expectation",
    "incident",
    "oncall",
    "policy",
    "service",
    "together",
]
