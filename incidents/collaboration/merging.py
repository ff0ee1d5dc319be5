"""Merging: what turns out to be one trouble becomes one incident.

The alerts move, and so does whatever fires later for the group of the one that was
merged, as long as the other is open. The merged one is over, but nobody hears
"resolved": it goes on elsewhere.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from incidents import grouping, paging, priorities, telling, timeline
from incidents.acting import UnableToAct
from incidents.collaboration import handovers
from incidents.mirroring import mirror
from incidents.models import Incident, IncidentEvent
from incidents.people import Actor
from notifications.models import Contact

Kind = IncidentEvent.Kind


class UnableToMerge(UnableToAct):
    """One of the two is over, or they are the same."""


def merge(
    *,
    incident_id: int,
    into_id: int,
    user: User | None,
    via: str,
    now: datetime,
    contact: Contact | None = None,
) -> Incident:
    """Let incident `incident_id` go on in the open incident `into_id`; return that one.

    The other keeps its state and who has it; it takes over the alerts, and from them
    its priority unless a person set it: a raise tells who does not know. Raises
    UnableToMerge.
    """
    if incident_id == into_id:
        raise UnableToMerge(_("That is this incident. Choose another one."))
    actor = Actor(user, contact)
    with transaction.atomic():
        source, target = _locked_pair(incident_id, into_id)
        _refuse(source, target)
        handovers.end(incident=source, now=now)
        source.alerts.update(incident=target)
        # Whatever was merged into this one is in the other now, too: never a chain.
        source.merged.update(merged_into=target)
        _close(source, target, actor, via, now)
        _take_in(source, target, actor, via, now)
    return target


def _locked_pair(source_id: int, target_id: int) -> tuple[Incident, Incident]:
    """Lock both groups and both rows, in the order in which everybody does."""
    groups = Incident.objects.filter(pk__in=[source_id, target_id]).values_list(
        "service_id", "grouping_key"
    )
    for service_id, grouping_key in sorted(groups):
        grouping.serialize(service_id=service_id, grouping_key=grouping_key)
    rows = {
        row.pk: row
        for row in Incident.objects.select_related("service")
        .select_for_update(of=("self",))
        .filter(pk__in=[source_id, target_id])
        .order_by("service_id", "grouping_key", "pk")
    }
    if source_id not in rows:
        raise Incident.DoesNotExist
    if target_id not in rows:
        raise UnableToMerge(
            _("There is no incident #%(number)d. Choose an open one.")
            % {"number": target_id}
        )
    return rows[source_id], rows[target_id]


def _refuse(source: Incident, target: Incident) -> None:
    for incident in (source, target):
        if incident.status == Incident.Status.RESOLVED:
            raise UnableToMerge(
                _("#%(number)d is over. Merge two open incidents.")
                % {"number": incident.pk}
            )
    if source.is_drill != target.is_drill:
        raise UnableToMerge(_("A drill and a real incident stay apart."))


def _close(
    source: Incident, target: Incident, actor: Actor, via: str, now: datetime
) -> None:
    source.status = Incident.Status.RESOLVED
    source.resolved_at = now
    source.resolved_by = actor.user
    source.resolved_by_contact = actor.contact
    source.resolved_by_name = actor.name
    source.merged_into = target
    source.snoozed_until = None
    source.is_untold = False
    paging.withdraw(incident=source, reason="merged", now=now)
    event = timeline.add(
        incident=source,
        kind=Kind.MERGED,
        now=now,
        actor=actor,
        via=via,
        data={"into": target.pk, "title": target.title},
    )
    telling.tell_merged(incident=source, event=event, into=target, actor=actor.name)
    paging.schedule(incident=source, now=now)
    source.save()
    mirror(incident=source, now=now)


def _take_in(
    source: Incident, target: Incident, actor: Actor, via: str, now: datetime
) -> None:
    target.started_at = min(target.started_at, source.started_at)
    if not target.is_publicity_pinned:
        target.is_public = target.is_public or source.is_public
    timeline.add(
        incident=target,
        kind=Kind.TOOK_IN,
        now=now,
        actor=actor,
        via=via,
        data={"from": source.pk, "title": source.title},
    )
    priorities.follow_alerts(incident=target, now=now)
