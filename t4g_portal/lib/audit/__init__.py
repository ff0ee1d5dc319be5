"""The audit chain: what people and keys did that must hold up later, append-only.

Each entry carries the hash of the one before it, so that nothing can be edited, left out
or put in another place without `verify` naming the entry. What the chain proves and
what it does not stands in docs/security.md.
"""

from __future__ import annotations

from t4g_portal.lib.audit.appending import UnableToAppend, append
from t4g_portal.lib.audit.chain import Actor, ActorKind

__all__ = ["Actor", "ActorKind", "UnableToAppend", "append"]
