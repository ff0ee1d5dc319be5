"""What stands in chats follows the incident: its messages are edited, nobody is told.

Only where a message can be edited: Slack with an app. One row of the outbox for each
place that holds a page, in the transaction of the change; a newer one replaces it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from django.db.models import Q, QuerySet
from django.utils import timezone, translation

from incidents import timeline
from incidents.desk import ALIVE, PAGE
from incidents.messages import Reason, build, story_of, thread_key, zone_of
from incidents.models import Incident, IncidentEvent
from notifications import services as outbox
from notifications.models import Notification
from t4g_portal.lib.wording import clock

SYNC = "sync"
# The end of the timeline is what a thread shows.
_LOG_LINES = 40


def mirror(*, incident: Incident, now: datetime, is_new: bool = False) -> None:
    """Bring every message about a saved incident up to date, where it can be edited.

    `is_new`: its pages say all; only the log of what happened is begun. One query where
    no page went to such a place.
    """
    places = _places(incident)
    if not places:
        return
    subject = thread_key(incident=incident)
    outbox.cancel(
        subject_key=subject, reason="a newer one follows", now=now, purposes=[SYNC]
    )
    events = _events(incident)
    last = _last_act(events)
    story = story_of(
        incident=incident,
        reason=_reason(incident),
        now=now,
        actor=_actor(incident),
        via=last.via if last and last.who == _actor(incident) else "",
    )
    story = replace(story, into=incident.merged_into)
    for place in places:
        channel, address = place.channel, place.address
        language = channel.language if channel else ""
        if address is not None:
            language = address.contact.language
        message = build(
            story=story,
            language=language,
            is_first_in_thread=False,
            has_mention=False,
            edits="log" if is_new else "all",
            log=_log(incident, events, now, language),
        )
        try:
            outbox.enqueue(
                channel=channel,
                address=address,
                message=message,
                purpose=SYNC,
                subject_key=subject,
                idempotency_key=f"{subject}:{SYNC}:{uuid4().hex}",
                now=now,
                lane=Notification.Lane.NORMAL,
                method=place.method,
            )
        except outbox.UnableToEnqueue:
            # Switched off meanwhile: nobody looks there any more.
            continue


def mirror_all(*, incidents: Sequence[Incident], now: datetime) -> None:
    """`mirror` for several; one query where none of them is in such a place."""
    subjects = {thread_key(incident=each): each for each in incidents}
    found = set(
        _editable()
        .filter(subject_key__in=list(subjects))
        .values_list("subject_key", flat=True)
    )
    for subject in sorted(found):
        mirror(incident=subjects[subject], now=now)


def _places(incident: Incident) -> list[Notification]:
    """Return one page for each place whose messages can be edited."""
    return list(
        _editable()
        .filter(subject_key=thread_key(incident=incident))
        .select_related("channel", "address__contact")
        .defer("channel__secret")
        .order_by("channel_id", "address_id", "pk")
        .distinct("channel_id", "address_id")
    )


def _editable() -> QuerySet[Notification]:
    """Pages whose messages can be edited where they stand."""
    return Notification.objects.filter(
        Q(channel__kind="slack_bot") | Q(address__kind="slack"),
        purpose=PAGE,
        status__in=ALIVE,
    )


def _events(incident: Incident) -> list[IncidentEvent]:
    """Return the end of the timeline, the oldest line first."""
    events = incident.events.select_related("actor").order_by("-at", "-pk")
    return list(events[:_LOG_LINES])[::-1]


def _last_act(events: list[IncidentEvent]) -> IncidentEvent | None:
    """Return the line of whoever has it, or has ended it."""
    acts = {
        IncidentEvent.Kind.ACKNOWLEDGED,
        IncidentEvent.Kind.HANDED_OVER,
        IncidentEvent.Kind.RESOLVED,
        IncidentEvent.Kind.MERGED,
    }
    return next((event for event in reversed(events) if event.kind in acts), None)


def _actor(incident: Incident) -> str:
    """Return who has ended it, else who has it, by name."""
    return incident.resolver or incident.holder


def _reason(incident: Incident) -> Reason:
    if incident.merged_into_id is not None:
        return Reason.MERGED
    if incident.status == Incident.Status.ACKNOWLEDGED:
        return Reason.TAKEN
    if incident.status == Incident.Status.TRIGGERED:
        return Reason.OPENED
    return Reason.RESOLVED if incident.resolver else Reason.RECOVERED


def _log(
    incident: Incident, events: list[IncidentEvent], now: datetime, language: str
) -> str:
    with (
        translation.override(language or None),
        timezone.override(zone_of(incident.service)),
    ):
        return "\n".join(
            f"{clock(event.at, now=now)}  {timeline.told(event=event)}"
            for event in events
        )
