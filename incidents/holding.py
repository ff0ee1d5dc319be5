"""Having an incident: taking it, vouching for it, giving it back.

Each works on an incident whose row the caller has locked, and who saves it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from incidents import escalation, paging
from incidents.models import Incident
from incidents.people import Actor


def take(*, incident: Incident, actor: Actor, now: datetime) -> None:
    """Let somebody have a locked, open incident: what has not left is cancelled."""
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
