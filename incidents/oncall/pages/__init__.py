"""The On call page and its acts: who is on call, and putting somebody else there."""

from __future__ import annotations
