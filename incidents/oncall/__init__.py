"""On-call: who has it when, and everything that changes it. See README, "On call"."""

from __future__ import annotations
