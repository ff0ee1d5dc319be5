"""The admin classes that every app's tables are registered with."""

from __future__ import annotations

from t4g_portal.lib.admin.base import LookOnlyAdmin, PortalAdmin
from t4g_portal.lib.admin.many import ManyAdmin

__all__ = ["LookOnlyAdmin", "ManyAdmin", "PortalAdmin"]
