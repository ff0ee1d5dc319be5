"""Having an incident: taking it, vouching for it, giving it back, being too late.

Each works on an incident whose row the caller has locked, and who saves it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from incidents import escalation, paging, timeline
from incidents.models import Incident, IncidentEvent
from incidents.people import Actor


def take(*, incident: Incident, actor: Actor, now: datetime) -> None:
    """Let somebody have a locked, open incident: what has not left is cancelled."""
    note_late(incident=incident, now=now)
    incident.status = Incident.Status.ACKNOWLEDGED
    incident.acknowledged_at = now
    incident.acknowledged_by = actor.user
    incident.acknowledged_by_contact = actor.contact
    incident.acknowledged_by_name = actor.name
    incident.first_acknowledged_at = incident.first_acknowledged_at or now
    incident.snoozed_until = None
    incident.is_untold = False
    vouch(incident=incident, now=now)
    paging.withdraw(incident=incident, reason="acknowledged", now=now)


def vouch(*, incident: Incident, now: datetime) -> None:
    """Let the acknowledgement hold from now on for as long as the policy says."""
    expires_s = escalation.read(incident.policy).ack_expires_s
    incident.ack_expires_at = now + timedelta(seconds=expires_s) if expires_s else None


def take_back(*, incident: Incident) -> None:
    """Make a locked, acknowledged incident triggered again."""
    incident.status = Incident.Status.TRIGGERED
    incident.ack_expires_at = None
    incident.acknowledged_at = None
    incident.acknowledged_by = None
    incident.acknowledged_by_contact = None
    incident.acknowledged_by_name = ""


def note_late(*, incident: Incident, now: datetime) -> None:
    """Record a missed deadline that the engine has not seen yet.

    For whoever acknowledges an incident, ends it or gives it another priority: after
    that it doesn't look any more, and it may have stood still.
    """
    if (
        incident.first_acknowledged_at is None
        and incident.response_missed_at is None
        and incident.response_due_at < now
    ):
        timeline.add_all(lines=[miss(incident=incident, now=now)])


def miss(*, incident: Incident, now: datetime) -> IncidentEvent:
    """Set that nobody had acknowledged in time; the caller stores the line."""
    incident.response_missed_at = incident.response_due_at
    return timeline.line(
        incident=incident,
        kind=IncidentEvent.Kind.RESPONSE_MISSED,
        now=now,
        data={"due_at": incident.response_due_at.isoformat()},
    )
