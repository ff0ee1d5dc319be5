from __future__ import annotations

from collections.abc import Collection

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IncidentsConfig(AppConfig):
    name = "incidents"
    verbose_name = _("Incidents")

    def ready(self) -> None:
        """Say how what raises alerts of this floor's own is called, and where it is."""
        from incidents import sources

        sources.register(
            kind="schedule",
            names=_schedule_names,
            page="admin:incidents_schedule_change",
        )


def _schedule_names(numbers: Collection[int]) -> dict[int, str]:
    from incidents.models import Schedule

    return dict(Schedule.objects.filter(pk__in=numbers).values_list("pk", "name"))
