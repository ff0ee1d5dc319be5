"""Deployments as thin lines on the chart of a monitor."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from monitors.models import Monitor
from monitors.pages import marks
from monitors.pages.chart import Mark
from telemetry import queries


def register() -> None:
    """Tell monitors of deployments."""
    marks.register(
        kind="deployment", permission="telemetry.view_deployment", source=deployments
    )


def deployments(monitor: Monitor, start: datetime, end: datetime) -> Iterator[Mark]:
    """Yield what was deployed to a monitor's service in [start, end); one query."""
    found = queries.between(start=start, end=end, service_id=monitor.service_id)
    for one in found:
        if one.started_at >= start:
            yield Mark(
                at=one.started_at,
                title=_("%(name)s deployed: %(state)s")
                % {"name": one.name, "state": one.get_state_display()},
                url=reverse("deployments:detail", args=[one.pk]),
                kind="deployment",
            )
