"""What is no page: that it is over, and that it is not. Nobody hears either twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from django.db.models import Q

from incidents import timeline
from incidents.messages import Reason, Story, build, story_of, thread_key
from incidents.models import Incident, IncidentEvent
from incidents.paging import PAGE
from notifications import services as outbox
from notifications.models import Address, Attempt, Channel, Notification
from notifications.services import Draft

# Purposes of outbox rows.
RECOVERY = "recovery"
UPDATE = "update"

# By which of the ways that told somebody they hear the end: the calmest, and never by
# a phone call.
_CALMEST_FIRST = ("slack", "email", "sms")


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
    """Tell those who were paged that it is over; call `paging.withdraw` first.

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
        told=_told(incident=incident, purpose=PAGE),
        purpose=RECOVERY,
        not_before=not_before,
    )


def tell_again(*, incident: Incident, event: IncidentEvent) -> None:
    """Tell those who heard that it was over that it is not. No page: no mention."""
    _tell(
        story=story_of(incident=incident, reason=Reason.AGAIN, now=event.at),
        event=event,
        told=_told(incident=incident, purpose=RECOVERY),
        purpose=UPDATE,
    )


def tell_merged(
    *, incident: Incident, event: IncidentEvent, into: Incident, actor: str
) -> None:
    """Tell those who were paged where it goes on; call `paging.withdraw` first."""
    story = story_of(incident=incident, reason=Reason.MERGED, now=event.at, actor=actor)
    _tell(
        story=replace(story, into=into),
        event=event,
        told=_told(incident=incident, purpose=PAGE),
        purpose=UPDATE,
    )


def _tell(
    *,
    story: Story,
    event: IncidentEvent,
    told: Sequence[tuple[Channel | None, Address | None, str]],
    purpose: str,
    not_before: datetime | None = None,
) -> None:
    if not told:
        return
    incident = story.incident
    outbox.enqueue_all(
        drafts=[
            Draft(
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
                idempotency_key=(
                    f"incident:{incident.pk}:{purpose}:{event.pk}:"
                    f"{channel.pk if channel else ''}:{address.pk if address else ''}"
                ),
                not_before=not_before,
                method=method,
            )
            for channel, address, method in told
        ],
        now=story.now,
    )
    held_back = not_before - story.now if not_before else None
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.NOTIFIED,
        now=story.now,
        data={
            "reason": str(story.reason),
            "channels": [
                channel.name if channel else address.contact.name if address else ""
                for channel, address, _method in told
            ],
            "held_back_s": int(held_back.total_seconds()) if held_back else 0,
        },
    )


def _told(
    *, incident: Incident, purpose: str
) -> list[tuple[Channel | None, Address | None, str]]:
    """Return who was told, perhaps told, or is being told, and can still be reached.

    Each channel once, and each person once, by one way.
    """
    rows = (
        Notification.objects.filter(
            subject_key=thread_key(incident=incident), purpose=purpose
        )
        .exclude(channel=None, address=None)
        .filter(
            Q(status__in=[Notification.Status.SENT, Notification.Status.SENDING])
            | Q(status=Notification.Status.BUNDLED, ended_at__isnull=False)
            | Q(attempts__outcome=Attempt.Outcome.LOST)
        )
        .select_related("channel", "address__contact", "address__verification")
        .defer("channel__secret")
        .order_by("pk")
    )
    channels: dict[int, tuple[Channel | None, Address | None, str]] = {}
    people: dict[int, list[tuple[int, int, Address, str]]] = {}
    for row in rows:
        if row.channel is not None:
            if not outbox.refusal(row.channel, None):
                channels.setdefault(row.channel.pk, (row.channel, None, ""))
        elif row.address is not None:
            method = _calm(row)
            if not outbox.refusal(None, row.address, method=method):
                rank = _CALMEST_FIRST.index(method)
                people.setdefault(row.address.contact_id, []).append(
                    (rank, row.pk, row.address, method)
                )
    chosen = [min(ways) for ways in people.values()]
    return [
        *channels.values(),
        *((None, address, method) for _rank, _pk, address, method in chosen),
    ]


def _calm(row: Notification) -> str:
    """Return by what to tell again whoever a row told: a text, where it was a call."""
    method = "sms" if row.method == "voice" else row.method
    return method if method in _CALMEST_FIRST else "email"


def _language(channel: Channel | None, address: Address | None) -> str:
    if channel is not None:
        return channel.language
    return address.contact.language if address is not None else ""
