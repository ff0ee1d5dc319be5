"""What can be found out without a person: one file a verifier, found through `registry`."""

from __future__ import annotations
