"""How an incident begins, comes back and ends."""

from __future__ import annotations

from datetime import datetime

from incidents import (
    escalation,
    holding,
    numbering,
    paging,
    priorities,
    telling,
    timeline,
)
from incidents.collaboration import handovers, postmortems
from incidents.messages import Reason
from incidents.mirroring import mirror
from incidents.models import (
    Alert,
    EscalationPolicy,
    Incident,
    IncidentEvent,
    Service,
)
from incidents.paging import Occasion
from incidents.people import Actor

Kind = IncidentEvent.Kind


def begin(
    *,
    service: Service,
    grouping_key: str,
    title: str,
    text: str,
    priority: str,
    started_at: datetime,
    is_public: bool,
    now: datetime,
    is_drill: bool = False,
    fixed: EscalationPolicy | None = None,
) -> Incident:
    """Create a triggered incident; nobody is told until `announce`.

    `text`: what its timeline begins with. `is_public`: whether the status page shows
    it. `fixed`: the policy to follow whatever the matrix says. Raises IntegrityError
    when the group has an open one already.
    """
    policy = priorities.policy_for(service=service, priority=priority, fixed=fixed)
    incident = Incident.objects.create(
        service=service,
        grouping_key=grouping_key,
        title=title,
        priority=priority,
        started_at=started_at,
        opened_at=now,
        response_due_at=policy.response_due(since=now),
        policy=escalation.snapshot(policy),
        is_public=is_public,
        is_drill=is_drill,
        short_code=numbering.take_short_code(now=now),
    )
    timeline.add(
        incident=incident,
        kind=Kind.OPENED,
        now=now,
        text=text,
        data={"priority": priority},
    )
    return incident


def announce(*, incident: Incident, now: datetime) -> None:
    """Page for a new incident, after its first alert was attached."""
    paging.begin(incident=incident, occasion=Occasion(Reason.OPENED), now=now)
    paging.schedule(incident=incident, now=now)
    incident.save()
    mirror(incident=incident, now=now, is_new=True)


def reopen(*, incident: Incident, priority: str, now: datetime) -> None:
    """Continue a locked incident that has just ended, in the state that it had.

    It counts as flapping from now on. Only those whose page had not left are paged;
    those who heard that it was over hear that it is not, once: later recoveries are
    held back. Call it after the new alert was attached.
    """
    was_flapping = incident.is_flapping
    incident.is_flapping = True
    incident.resolved_at = None
    incident.status = (
        Incident.Status.ACKNOWLEDGED
        if incident.acknowledged_at
        else Incident.Status.TRIGGERED
    )
    if incident.snoozed_until and incident.snoozed_until <= now:
        incident.snoozed_until = None
    telling.withdraw_recovery(incident=incident, now=now)
    event = timeline.add(incident=incident, kind=Kind.REOPENED, now=now)
    if not was_flapping:
        telling.tell_again(incident=incident, event=event)
    if priority != incident.priority and not incident.is_priority_pinned:
        priorities.change(incident=incident, priority=priority, now=now)
    if incident.status == Incident.Status.TRIGGERED and not incident.snoozed_until:
        paging.page_untold(
            incident=incident, occasion=Occasion(Reason.FLAPPING), now=now
        )
    paging.schedule(incident=incident, now=now)
    incident.save()
    mirror(incident=incident, now=now)


def end(
    *,
    incident: Incident,
    now: datetime,
    actor: Actor | None = None,
    via: str = IncidentEvent.Via.ENGINE,
    closed_alert_count: int = 0,
) -> None:
    """Resolve a locked, open incident and tell those who were told of it.

    Messages that have not left are cancelled, so whoever knows nothing hears nothing.
    """
    holding.note_late(incident=incident, now=now)
    incident.status = Incident.Status.RESOLVED
    incident.resolved_at = now
    incident.resolved_by = actor.user if actor else None
    incident.resolved_by_contact = actor.contact if actor else None
    incident.resolved_by_name = actor.name if actor else ""
    incident.is_untold = False
    handovers.end(incident=incident, now=now)
    paging.withdraw(incident=incident, reason="resolved", now=now)
    event = timeline.add(
        incident=incident,
        kind=Kind.RESOLVED,
        now=now,
        actor=actor,
        via=via,
        data={"closed_alert_count": closed_alert_count},
    )
    is_held_back = incident.is_flapping and actor is None
    telling.tell_recovery(
        incident=incident,
        event=event,
        actor=actor.name if actor else "",
        not_before=now + escalation.FLAP_WINDOW if is_held_back else None,
    )
    paging.schedule(incident=incident, now=now)
    incident.save()
    postmortems.require(incident=incident, now=now)
    mirror(incident=incident, now=now)


def close_alerts(*, incident: Incident, now: datetime) -> int:
    """Resolve every alert that still fires, because a person says so; return how many."""
    return incident.alerts.filter(status=Alert.Status.FIRING).update(
        status=Alert.Status.RESOLVED, resolved_at=now
    )
