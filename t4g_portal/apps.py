from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PortalConfig(AppConfig):
    name = "t4g_portal"
    verbose_name = _("T4G portal")

    def ready(self) -> None:
        """Make ours Celery's current app, so that `shared_task` binds to it."""
        import t4g_portal.celery  # noqa: F401
