"""One text for one value; what content, evidence and statements are hashed by."""

from __future__ import annotations

from t4g_portal.lib.audit.canonical import canonical, digest, plain

__all__ = ["canonical", "digest", "plain"]
