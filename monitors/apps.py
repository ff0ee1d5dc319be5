from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MonitorsConfig(AppConfig):
    name = "monitors"
    verbose_name = _("Monitors")

    def ready(self) -> None:
        """Tell the floor below how monitors are called, of their windows and health."""
        from incidents import sources
        from monitors import deploy_health, surroundings
        from monitors.queries.naming import names_of

        sources.register(kind="monitor", names=names_of, rules_anchor="thresholds")
        surroundings.register()
        deploy_health.register()
