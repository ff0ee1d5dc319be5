"""What a priority means for an incident, and what a change of it sets off."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from incidents import escalation, paging, timeline
from incidents.messages import Reason
from incidents.mirroring import mirror
from incidents.models import Alert, Incident, IncidentEvent, PriorityRule
from incidents.people import Actor
from t4g_portal.lib.priority import highest


def policy_for(*, priority: str) -> dict[str, Any]:
    """Snapshot the matrix row of a priority; the guide's when there is none."""
    row = PriorityRule.objects.filter(priority=priority).first()
    if row is None:
        return escalation.policy_from(rule=escalation.GUIDE_RULES[priority])
    return escalation.policy_from(
        rule=escalation.Rule(
            priority=row.priority,
            response_s=row.response_s,
            repeat_s=row.repeat_s,
            has_mention=row.has_mention,
            is_digest=row.is_digest,
            channel_ids=tuple(row.channels.order_by("pk").values_list("pk", flat=True)),
        )
    )


def change(
    *,
    incident: Incident,
    priority: str,
    now: datetime,
    actor: Actor | None = None,
    via: str = IncidentEvent.Via.ENGINE,
) -> None:
    """Give a locked, open incident another priority; the caller saves it.

    A raise tells the channels of the new rule that do not know yet, even when
    somebody has acknowledged: what they acknowledged was less urgent. It ends the
    snooze of an incident that nobody has. A lowering is only noted.
    """
    old = incident.priority
    is_raise = priority < old
    incident.priority = priority
    incident.policy = policy_for(priority=priority)
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.PRIORITY_CHANGED,
        now=now,
        actor=actor,
        via=via,
        data={"from": old, "to": priority},
    )
    if is_raise:
        incident.response_due_at = min(
            incident.response_due_at,
            escalation.response_due(policy=incident.policy, since=now),
        )
        _tell_raise(incident=incident, old=old, now=now)
    else:
        incident.response_due_at = escalation.response_due(
            policy=incident.policy, since=incident.opened_at
        )
    paging.schedule(incident=incident, now=now)


def follow_alerts(*, incident: Incident, now: datetime) -> None:
    """Give a locked incident the highest priority of what fires, and save it.

    Unless a person pinned it. One query when nothing changes.
    """
    firing = of_firing(incident=incident)
    priority = highest(firing) if firing else incident.priority
    is_other = priority != incident.priority and not incident.is_priority_pinned
    if is_other:
        change(incident=incident, priority=priority, now=now)
    incident.save()
    if is_other:
        mirror(incident=incident, now=now)


def of_firing(*, incident: Incident) -> list[str]:
    """Return the priority of each alert that fires; one query."""
    firing = incident.alerts.filter(status=Alert.Status.FIRING)
    return list(firing.values_list("priority", flat=True))


def _tell_raise(*, incident: Incident, old: str, now: datetime) -> None:
    if incident.snoozed_until and incident.status == Incident.Status.TRIGGERED:
        incident.snoozed_until = None
        timeline.add(
            incident=incident,
            kind=IncidentEvent.Kind.WOKEN,
            now=now,
            data={"cause": "raised"},
        )
    paging.withdraw(incident=incident, reason="raised to a higher priority", now=now)
    is_known = (
        incident.paged_at is not None
        and now - incident.paged_at < escalation.RECENTLY_TOLD
    )
    paging.page(
        incident=incident,
        reason=Reason.RAISED,
        now=now,
        is_only_untold=is_known,
        old=old,
    )
