"""Telling people: which channels carry a page, and the outbox rows for them.

Every function works on an incident whose row the caller has locked; it changes the
object and the caller saves it, so that state, timeline and outbox commit together.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from datetime import datetime

from django.db.models import QuerySet

from incidents import escalation, timeline
from incidents.messages import Reason, Story, build, story_of, thread_key
from incidents.models import Incident, IncidentEvent
from notifications import services as outbox
from notifications.models import Address, Channel, Notification

# Purposes of outbox rows.
PAGE = "page"
RECOVERY = "recovery"
UPDATE = "update"

ALIVE = [
    Notification.Status.QUEUED,
    Notification.Status.SENDING,
    Notification.Status.SENT,
]


def page(
    *,
    incident: Incident,
    reason: Reason,
    now: datetime,
    is_only_untold: bool = False,
    avoid: Set[int] = frozenset(),
    actor: str = "",
    old: str = "",
) -> None:
    """Page the channels of the incident's policy.

    A policy without any usable channel falls through to the usable channels of the
    whole matrix. When there is none either, the timeline and `is_untold` say so and
    the page is tried again later. A digest policy tells nobody. `is_only_untold`
    leaves out channels that have a page or will get one; `avoid`, channels (ids)
    known not to deliver.
    """
    rule = escalation.rule_of(policy=incident.policy)
    if rule.is_digest:
        incident.is_untold = False
        return
    channels, is_fallback = _reachable(rule=rule, avoid=avoid)
    if not channels:
        _note_untold(incident=incident, reason=reason, now=now)
        return
    known = _channels_with_page(incident=incident)
    if is_only_untold:
        channels = [channel for channel in channels if channel.pk not in known]
        if not channels:
            return
    number = _next_page_number(incident)
    story = story_of(incident=incident, reason=reason, now=now, actor=actor, old=old)
    for channel in channels:
        outbox.enqueue(
            channel=channel,
            message=build(
                story=story,
                language=channel.language,
                is_first_in_thread=channel.pk not in known,
                has_mention=rule.has_mention,
            ),
            purpose=PAGE,
            subject_key=thread_key(incident=incident),
            # The number is unique to this page: a second engine that decides the
            # same collides here.
            idempotency_key=f"incident:{incident.pk}:page:{number}:{channel.pk}",
            now=now,
            lane=Notification.Lane.PAGING,
        )
    incident.paged_at = now
    incident.is_untold = False
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.ESCALATED
        if reason == Reason.REMINDED
        else IncidentEvent.Kind.NOTIFIED,
        now=now,
        data={
            "reason": str(reason),
            "channels": [channel.name for channel in channels],
            "is_fallback": is_fallback,
        },
    )


def next_channels(*, incident: Incident) -> list[Channel]:
    """Return whom the next page would go to, were it now; at most two queries."""
    rule = escalation.rule_of(policy=incident.policy)
    if rule.is_digest:
        return []
    channels, _is_fallback = _reachable(rule=rule, avoid=frozenset())
    return channels


def channels_that_failed(*, incident: Incident) -> set[int]:
    """Return the channels (ids) that a page for this incident died on."""
    dead = Notification.objects.filter(
        subject_key=thread_key(incident=incident),
        purpose=PAGE,
        status=Notification.Status.DEAD,
        channel__isnull=False,
    )
    return set(dead.values_list("channel_id", flat=True))


def schedule(*, incident: Incident, now: datetime) -> None:
    """Set when the engine looks at the incident next."""
    if incident.status == Incident.Status.RESOLVED:
        incident.next_escalation_at = None
        return
    incident.next_escalation_at = escalation.next_escalation(
        policy=incident.policy,
        status=incident.status,
        snoozed_until=incident.snoozed_until,
        paged_at=incident.paged_at or incident.opened_at,
        now=now,
    )
    if incident.is_untold and not _is_snoozed(incident, now):
        incident.next_escalation_at = escalation.next_untold_try(
            page_count=incident.escalation_count, now=now
        )


def withdraw(*, incident: Incident, reason: str, now: datetime) -> int:
    """Cancel every message about the incident that has not left; return how many."""
    return outbox.cancel(
        subject_key=thread_key(incident=incident), reason=reason, now=now
    )


def withdraw_recovery(*, incident: Incident, now: datetime) -> None:
    """Cancel the recovery messages that are held back."""
    outbox.cancel(
        subject_key=thread_key(incident=incident),
        reason="it fires again",
        now=now,
        purposes=[RECOVERY],
    )


def tell_recovery(
    *,
    incident: Incident,
    event: IncidentEvent,
    actor: str = "",
    not_before: datetime | None = None,
) -> None:
    """Tell those who were paged that it is over; call `withdraw` first.

    `event`: the line that resolved it. `not_before` holds the messages back.
    """
    story = story_of(
        incident=incident,
        reason=Reason.RESOLVED if actor else Reason.RECOVERED,
        now=event.at,
        actor=actor,
        via=event.via,
    )
    _tell(
        story=story,
        event=event,
        destinations=_told(incident=incident, purpose=PAGE),
        purpose=RECOVERY,
        not_before=not_before,
    )


def tell_again(*, incident: Incident, event: IncidentEvent) -> None:
    """Tell those who heard that it was over that it is not. No page: no mention."""
    _tell(
        story=story_of(incident=incident, reason=Reason.AGAIN, now=event.at),
        event=event,
        destinations=_told(incident=incident, purpose=RECOVERY),
        purpose=UPDATE,
    )


def tell_merged(
    *, incident: Incident, event: IncidentEvent, into: Incident, actor: str
) -> None:
    """Tell those who were paged where it goes on; call `withdraw` first."""
    story = story_of(incident=incident, reason=Reason.MERGED, now=event.at, actor=actor)
    _tell(
        story=replace(story, into=into),
        event=event,
        destinations=_told(incident=incident, purpose=PAGE),
        purpose=UPDATE,
    )


def _tell(
    *,
    story: Story,
    event: IncidentEvent,
    destinations: list[tuple[Channel | None, Address | None]],
    purpose: str,
    not_before: datetime | None = None,
) -> None:
    incident = story.incident
    for channel, address in destinations:
        where = f"{channel.pk if channel else ''}:{address.pk if address else ''}"
        outbox.enqueue(
            channel=channel,
            address=address,
            message=build(
                story=story,
                language=_language(channel, address),
                is_first_in_thread=False,
                has_mention=False,
            ),
            purpose=purpose,
            subject_key=thread_key(incident=incident),
            idempotency_key=f"incident:{incident.pk}:{purpose}:{event.pk}:{where}",
            now=story.now,
            not_before=not_before,
        )
    if destinations:
        held_back = not_before - story.now if not_before else None
        timeline.add(
            incident=incident,
            kind=IncidentEvent.Kind.NOTIFIED,
            now=story.now,
            data={
                "reason": str(story.reason),
                "channels": [
                    str(channel or address) for channel, address in destinations
                ],
                "held_back_s": int(held_back.total_seconds()) if held_back else 0,
            },
        )


def _reachable(*, rule: escalation.Rule, avoid: Set[int]) -> tuple[list[Channel], bool]:
    """Return the channels that can carry a page, and whether they are a fallback."""
    own = _usable(Channel.objects.filter(pk__in=rule.channel_ids), avoid)
    if own:
        return own, False
    every = Channel.objects.filter(priority_rules__isnull=False).distinct()
    return _usable(every, avoid), True


def _usable(channels: QuerySet[Channel], avoid: Set[int]) -> list[Channel]:
    usable = outbox.usable_channels(channels.order_by("pk"))
    return [channel for channel in usable if channel.pk not in avoid]


def _note_untold(*, incident: Incident, reason: Reason, now: datetime) -> None:
    """Say once, not at each try, that a page reached nobody."""
    if incident.is_untold:
        return
    incident.is_untold = True
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.UNTOLD,
        now=now,
        data={"reason": str(reason)},
    )


def _channels_with_page(*, incident: Incident) -> set[int | None]:
    return set(
        Notification.objects.filter(
            subject_key=thread_key(incident=incident), purpose=PAGE, status__in=ALIVE
        ).values_list("channel_id", flat=True)
    )


def _next_page_number(incident: Incident) -> int:
    number = incident.escalation_count
    incident.escalation_count = number + 1
    return number


def _told(
    *, incident: Incident, purpose: str
) -> list[tuple[Channel | None, Address | None]]:
    return outbox.told_destinations(
        subject_key=thread_key(incident=incident), purposes=[purpose]
    )


def _language(channel: Channel | None, address: Address | None) -> str:
    if channel is not None:
        return channel.language
    return address.contact.language if address is not None else ""


def _is_snoozed(incident: Incident, now: datetime) -> bool:
    return incident.snoozed_until is not None and incident.snoozed_until > now
