from __future__ import annotations

from collections.abc import Collection

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IncidentsConfig(AppConfig):
    name = "incidents"
    verbose_name = _("Incidents")

    def ready(self) -> None:
        """Say what raises alerts of this floor's own, and what goes on around incidents."""
        from incidents import deploying_queries, sources, surroundings

        sources.register(
            kind="schedule",
            names=_schedule_names,
            page="admin:incidents_schedule_change",
        )
        sources.register(
            kind="expectation",
            names=_expectation_names,
            page="admin:incidents_reachexpectation_change",
        )
        sources.register(
            kind="policy",
            names=_policy_names,
            page="admin:incidents_escalationpolicy_change",
        )
        surroundings.register(
            name="incidents.deploy_windows", source=deploying_queries.around
        )


def _schedule_names(numbers: Collection[int]) -> dict[int, str]:
    from incidents.models import Schedule

    return dict(Schedule.objects.filter(pk__in=numbers).values_list("pk", "name"))


def _expectation_names(numbers: Collection[int]) -> dict[int, str]:
    from incidents.models import ReachExpectation

    rows = ReachExpectation.objects.filter(pk__in=numbers)
    return dict(rows.values_list("pk", "name"))


def _policy_names(numbers: Collection[int]) -> dict[int, str]:
    from incidents.models import EscalationPolicy

    rows = EscalationPolicy.objects.filter(pk__in=numbers)
    return dict(rows.values_list("pk", "name"))
