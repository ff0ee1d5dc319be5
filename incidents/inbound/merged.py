"""Whom a message speaks of may have been merged into another incident since."""

from __future__ import annotations

from incidents.models import Incident

# They are merged into merged ones; a circle must not hold a request.
_MAX_MERGES = 10


def going_on(incident_id: int) -> Incident | None:
    """Load an incident, or the one that it was merged into; None when there is none."""
    incidents = Incident.objects.select_related(
        "service", "acknowledged_by", "resolved_by"
    )
    incident = incidents.filter(pk=incident_id).first()
    for _hop in range(_MAX_MERGES):
        if incident is None or incident.merged_into_id is None:
            break
        incident = incidents.filter(pk=incident.merged_into_id).first()
    return incident
