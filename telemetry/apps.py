from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TelemetryConfig(AppConfig):
    name = "telemetry"
    verbose_name = _("Telemetry")

    def ready(self) -> None:
        """Tell the floors below of deployments: around incidents, on charts."""
        from telemetry import marks, surroundings

        surroundings.register()
        marks.register()
