from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChecklistsConfig(AppConfig):
    name = "checklists"
    verbose_name = _("Checklists")

    def ready(self) -> None:
        """Tell the floors below how what stands in alerts and entries is called."""
        from checklists.models import AuditCheck, ChecklistRun
        from incidents import sources

        sources.register(
            kind="run",
            page="checklists:run",
            names=lambda numbers: {
                run.pk: str(run) for run in ChecklistRun.objects.filter(pk__in=numbers)
            },
        )
        sources.register(
            kind="audit-check",
            page="admin:checklists_auditcheck_change",
            names=lambda numbers: {
                check.pk: str(check)
                for check in AuditCheck.objects.filter(pk__in=numbers)
            },
        )
