"""Deployments around an incident, for its page: what changed before?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.translation import gettext as _

from incidents import surroundings
from incidents.models import Incident
from incidents.surroundings import BEFORE, Surrounding
from t4g_portal.lib.wording import duration
from telemetry import queries
from telemetry.models import Deployment

# A change of the service itself is suspect for so long, one of another service for so
# long.
SUSPECT = timedelta(hours=2)
SUSPECT_BESIDE = timedelta(minutes=30)
_MINUTE = timedelta(minutes=1)

State = Deployment.State


def register() -> None:
    """Tell incidents of deployments."""
    surroundings.register(name="telemetry.deployments", source=deployments)


def deployments(
    incident: Incident, start: datetime, end: datetime
) -> Iterator[Surrounding]:
    """Yield what was deployed to production in [start, end); one query.

    Of the incident's service all of it, of others what came shortly before the beginning.
    """
    for one in queries.between(start=start, end=end):
        suspicion = _suspicion(one, incident)
        if one.service_id == incident.service_id or suspicion:
            yield Surrounding(
                kind=_("Deployment"),
                title=_("%(service)s %(commit)s")
                % {"service": one.service.name, "commit": one.name},
                started_at=one.started_at,
                ended_at=one.rolled_back_at or one.finished_at,
                detail=_detail(one),
                url=reverse("deployments:detail", args=[one.pk]),
                permission="telemetry.view_deployment",
                state="maintenance",
                symbol="deployed",
                suspicion=suspicion,
            )


def _suspicion(one: Deployment, incident: Incident) -> str:
    """Say what it changed shortly before an incident; empty when it did not."""
    began = incident.started_at
    if one.started_at > began:
        return ""
    names = {"service": one.service.name, "commit": one.name}
    moment = _last_change(one, began)
    if moment is None:
        if began - one.started_at > BEFORE:
            return ""
        return _("%(service)s %(commit)s was being deployed when it began") % names
    is_own = one.service_id == incident.service_id
    if began - moment > (SUSPECT if is_own else SUSPECT_BESIDE):
        return ""
    names["length"] = duration(_rounded(began - moment))
    if one.rolled_back_at == moment:
        return _("%(service)s %(commit)s rolled back %(length)s before") % names
    if one.state == State.FAILED:
        return _("%(service)s %(commit)s failed to deploy %(length)s before") % names
    return _("%(service)s %(commit)s deployed %(length)s before") % names


def _rounded(length: timedelta) -> timedelta:
    """Leave out seconds where there are minutes: nobody needs them."""
    return length - length % _MINUTE if length >= _MINUTE else length


def _last_change(one: Deployment, began: datetime) -> datetime | None:
    """Return when it last changed something; None while it was under way."""
    ends = [one.finished_at, one.rolled_back_at]
    return max((end for end in ends if end is not None and end <= began), default=None)


def _detail(one: Deployment) -> str:
    state = str(one.get_state_display())
    if one.actor:
        return _("%(state)s, by %(name)s") % {"state": state, "name": one.actor}
    return state
