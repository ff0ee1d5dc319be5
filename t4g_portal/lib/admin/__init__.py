"""The admin classes that every app's tables are registered with."""

from __future__ import annotations

from t4g_portal.lib.admin.base import LookOnlyAdmin, PortalAdmin

__all__ = ["LookOnlyAdmin", "PortalAdmin"]
