"""The words for states, as users of the services read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from monitors.status import Status

SERVICE_WORDS: dict[Status, Any] = {
    Status.UP: gettext_lazy("Operational"),
    Status.DEGRADED: gettext_lazy("Limited"),
    Status.DOWN: gettext_lazy("Not available"),
    Status.MAINTENANCE: gettext_lazy("Maintenance"),
    Status.UNKNOWN: gettext_lazy("No data"),
    Status.PAUSED: gettext_lazy("No data"),
    Status.PENDING: gettext_lazy("No data"),
}
_SENTENCES: dict[Status, Any] = {
    Status.UP: gettext_lazy("All systems operational"),
    Status.MAINTENANCE: gettext_lazy("Planned maintenance is under way"),
    Status.UNKNOWN: gettext_lazy("We are checking the state of our services"),
    Status.PAUSED: gettext_lazy("We are checking the state of our services"),
    Status.PENDING: gettext_lazy("We are checking the state of our services"),
}


def sentence(
    *, status: Status, affected: Sequence[str], has_services: bool, has_incidents: bool
) -> str:
    """Say in one sentence how everything is.

    `status`: the worst of the services; `affected`: the names of those that have it.
    `has_incidents`: something is open, whatever the monitors say.
    """
    if not has_services:
        return _("No services are shown here yet")
    if status in (Status.DOWN, Status.DEGRADED):
        return _trouble(status, affected)
    if has_incidents:
        return _("We are working on a problem")
    return str(_SENTENCES[status])


def _trouble(status: Status, affected: Sequence[str]) -> str:
    if len(affected) > 1:
        return _("%(count)d services are affected") % {"count": len(affected)}
    if status == Status.DOWN:
        return _("%(name)s is not available") % {"name": affected[0]}
    return _("%(name)s is limited") % {"name": affected[0]}
