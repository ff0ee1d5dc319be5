"""What a priority means for an incident, and what a change of it sets off."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from incidents import escalation, holding, paging, timeline
from incidents.escalation import GUIDE, Hours, Policy, Step
from incidents.messages import Reason
from incidents.mirroring import mirror
from incidents.models import (
    Alert,
    EscalationPolicy,
    EscalationStep,
    Incident,
    IncidentEvent,
    PriorityRule,
    Service,
    ServicePolicy,
)
from incidents.paging import Occasion
from incidents.people import Actor
from t4g_portal.lib.priority import highest

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def policy_for(
    *, service: Service | None, priority: str, fixed: EscalationPolicy | None = None
) -> Policy:
    """Return what an incident of a service follows: the service's policy, else the
    matrix row's, else the guide's. Some eight queries.

    A policy of the service for all priorities leaves those alone that wait for the
    digest; `fixed` is used whatever they say, and kept when the priority changes.
    `service` None: any that has no policy of its own.
    """
    guide = GUIDE[priority]
    rule = PriorityRule.objects.filter(priority=priority).first()
    plain = Policy(
        priority=priority,
        response_s=rule.response_s if rule else guide.response_s,
        is_digest=rule.is_digest if rule else guide.is_digest,
        is_fixed=fixed is not None,
    )
    own = None if service is None else _service_policy(service, priority)
    if fixed is not None or (own is not None and own.priority == priority):
        plain = replace(plain, is_digest=False)
    chosen = fixed or (own.policy if own else rule.policy if rule else None)
    if plain.is_digest:
        return plain
    steps = steps_of(policy=chosen) if chosen is not None else ()
    return replace(
        plain,
        name=chosen.name if chosen is not None else "",
        ack_expires_s=chosen.ack_expires_s if chosen is not None else 0,
        # Without any step of its own it climbs as the guide says, past whoever it finds.
        steps=steps or guide.steps or (Step(),),
    )


def _service_policy(service: Service, priority: str) -> ServicePolicy | None:
    rows = ServicePolicy.objects.filter(service=service, priority__in=[priority, ""])
    return rows.select_related("policy").order_by("-priority").first()


def steps_of(*, policy: EscalationPolicy) -> tuple[Step, ...]:
    """Return the steps of a policy in the order of their time; five queries."""
    rows = policy.steps.order_by("after_s", "position", "pk").prefetch_related(
        "channels", "schedules", "contacts", "teams"
    )
    return tuple(plain_step(row) for row in rows)


def plain_step(row: EscalationStep) -> Step:
    """Return a stored step as the planner knows it."""
    return Step(
        after_s=row.after_s,
        repeat_s=row.repeat_s,
        repeat_limit=row.repeat_limit,
        has_mention=row.has_mention,
        hours=_hours(row),
        channel_ids=_ids(row.channels),
        schedule_ids=_ids(row.schedules),
        contact_ids=_ids(row.contacts),
        team_ids=_ids(row.teams),
    )


def _ids(related: object) -> tuple[int, ...]:
    return tuple(sorted(row.pk for row in related.all()))  # type: ignore[attr-defined]


def _hours(row: EscalationStep) -> Hours | None:
    if not row.only_weekdays and row.only_from == row.only_until:
        return None
    return Hours(
        time_zone=row.time_zone,
        weekdays=frozenset(_WEEKDAYS.index(day) for day in row.only_weekdays),
        only_from=row.only_from,
        only_until=row.only_until,
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

    A raise tells those whom the new policy tells at once and who do not know yet, even
    when somebody has acknowledged: what they acknowledged was less urgent. It ends the
    snooze of an incident that nobody has. A lowering is only noted.
    """
    old = incident.priority
    policy = _policy_of_change(incident, priority)
    is_raise = priority < old
    # More time from now on takes back no deadline that has passed.
    holding.note_late(incident=incident, now=now)
    incident.priority = priority
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
            incident.response_due_at, policy.response_due(since=now)
        )
        _raise(incident=incident, policy=policy, old=old, now=now)
    else:
        incident.response_due_at = policy.response_due(since=incident.opened_at)
        paging.lower_to(incident=incident, policy=policy, now=now)
        _keep_hold(incident=incident, now=now)
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


def _policy_of_change(incident: Incident, priority: str) -> Policy:
    policy = policy_for(service=incident.service, priority=priority)
    present = escalation.read(incident.policy)
    if not present.is_fixed:
        return policy
    return replace(present, priority=priority, response_s=policy.response_s)


def _raise(*, incident: Incident, policy: Policy, old: str, now: datetime) -> None:
    if incident.snoozed_until and incident.status == Incident.Status.TRIGGERED:
        incident.snoozed_until = None
        timeline.add(
            incident=incident,
            kind=IncidentEvent.Kind.WOKEN,
            now=now,
            data={"cause": "raised"},
        )
    paging.withdraw(incident=incident, reason="raised to a higher priority", now=now)
    paging.raise_to(
        incident=incident,
        policy=policy,
        occasion=Occasion(Reason.RAISED, old=old),
        now=now,
        is_known=incident.paged_at is not None
        and now - incident.paged_at < escalation.RECENTLY_TOLD,
        is_back=_was_as_urgent(incident, now),
    )
    if incident.status == Incident.Status.ACKNOWLEDGED:
        holding.vouch(incident=incident, now=now)


def _keep_hold(*, incident: Incident, now: datetime) -> None:
    """Let an acknowledgement end as the new policy says, never later than before."""
    if incident.status == Incident.Status.ACKNOWLEDGED:
        before = incident.ack_expires_at
        holding.vouch(incident=incident, now=now)
        if before is not None and incident.ack_expires_at is not None:
            incident.ack_expires_at = min(before, incident.ack_expires_at)


def _was_as_urgent(incident: Incident, now: datetime) -> bool:
    """Whether it was lowered from its present priority, or a higher one, lately."""
    return incident.events.filter(
        kind=IncidentEvent.Kind.PRIORITY_CHANGED,
        at__gt=now - 2 * escalation.RECENTLY_TOLD,
        data__from__lte=incident.priority,
    ).exists()
