from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class KpisConfig(AppConfig):
    name = "kpis"
    verbose_name = _("KPIs")

    def ready(self) -> None:
        """Tell the floor below how the sources of our alerts are called."""
        from incidents import sources
        from kpis.models import Kpi

        sources.register(
            kind="kpi",
            page="admin:kpis_kpi_change",
            names=lambda numbers: dict(
                Kpi.objects.filter(pk__in=numbers).values_list("pk", "name")
            ),
        )
