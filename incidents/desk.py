"""The desk where the pages of one moment are written, for one incident or for many.

What they need is read for all of them at once, and what they come to is written at once:
a hundred incidents cost little more than one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from incidents import escalation, timeline
from incidents.escalation.policy import Policy
from incidents.messages import Reason, Story, gather, story_of, thread_key
from incidents.models import Incident, IncidentEvent
from incidents.reach import Worlds
from notifications import services as outbox
from notifications.models import Notification
from notifications.services import Draft

# The purpose of pages in the outbox.
PAGE = "page"

ALIVE = [
    Notification.Status.QUEUED,
    Notification.Status.SENDING,
    Notification.Status.SENT,
    Notification.Status.BUNDLED,
]


@dataclass(frozen=True, slots=True)
class Known:
    """Who has a page about an incident, or will get one."""

    channels: frozenset[int]
    addresses: frozenset[int]
    contacts: frozenset[int]
    # Addresses, and by which method.
    ways: frozenset[tuple[int | None, str]] = frozenset()


class Desk:
    """Reads for some locked incidents, and keeps what is to be written about them."""

    def __init__(
        self,
        *,
        at: datetime,
        incidents: Sequence[Incident],
        worlds: Worlds | None = None,
    ) -> None:
        """`worlds`: those of this moment, for whoever opens one desk after another."""
        self.at = at
        self.worlds = worlds or Worlds(at=at)
        self.worlds.look(policies=_readable(incidents))
        self._known = _known(incidents)
        self._gathered = gather(incidents=incidents)
        self._drafts: list[Draft] = []
        self._lines: list[IncidentEvent] = []

    def known(self, incident: Incident) -> Known:
        """Return who has a page about one of the incidents."""
        return self._known[incident.pk]

    def story(
        self, incident: Incident, *, reason: Reason, actor: str = "", old: str = ""
    ) -> Story:
        """Return what the messages about one of the incidents tell."""
        return story_of(
            incident=incident,
            reason=reason,
            now=self.at,
            actor=actor,
            old=old,
            gathered=self._gathered[incident.pk],
        )

    def send(self, drafts: Iterable[Draft]) -> None:
        """Keep messages until `clear`."""
        self._drafts += drafts

    def note(self, line: IncidentEvent) -> None:
        """Keep a line of the timeline until `clear`."""
        self._lines.append(line)

    def clear(self) -> None:
        """Write all that was kept, in the caller's transaction."""
        if self._drafts:
            outbox.enqueue_all(drafts=self._drafts, now=self.at)
        timeline.add_all(lines=self._lines)
        self._drafts, self._lines = [], []


def _readable(incidents: Iterable[Incident]) -> list[Policy]:
    """Read the policies that are any; the others fail where only they are held up."""
    policies = []
    for incident in incidents:
        try:
            policies.append(escalation.read(incident.policy))
        except (KeyError, TypeError):
            continue
    return policies


def _known(incidents: Sequence[Incident]) -> dict[int, Known]:
    subjects = {thread_key(incident=incident): incident.pk for incident in incidents}
    # What has failed, or is to be dropped unless it leaves this moment, is no page.
    rows = (
        Notification.objects.filter(
            subject_key__in=list(subjects), purpose=PAGE, status__in=ALIVE
        )
        .exclude(delivery_status="failed")
        .exclude(cancel_requested_at__isnull=False, ended_at__isnull=True)
        .values_list(
            "subject_key", "channel_id", "address_id", "address__contact_id", "method"
        )
        # A night without an answer leaves hundreds of the same.
        .distinct()
    )
    found: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for subject, *places in rows:
        found[subjects[subject]].append(tuple(places))
    return {
        incident.pk: Known(
            channels=_ids(row[0] for row in found[incident.pk]),
            addresses=_ids(row[1] for row in found[incident.pk]),
            contacts=_ids(row[2] for row in found[incident.pk]),
            ways=frozenset(
                (row[1], row[3]) for row in found[incident.pk] if row[1] is not None
            ),
        )
        for incident in incidents
    }


def _ids(found: Iterable[int | None]) -> frozenset[int]:
    return frozenset(pk for pk in found if pk is not None)
