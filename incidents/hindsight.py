"""What had become of an incident at a past moment, and whom it had reached by then.

It answers "why was nobody paged?" from what is kept: the timeline, the policy that the
incident follows, and the outbox. It writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from incidents import escalation, timeline
from incidents.escalation import hours
from incidents.messages import thread_key
from incidents.models import Incident, IncidentEvent
from incidents.paging import PAGE
from notifications.models import Notification
from notifications.models.contact import method_kinds
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold
from t4g_portal.lib.wording import clock

Kind = IncidentEvent.Kind
_Status = Notification.Status

# Of everything that was asked about, the newest so many.
MAX_EVENTS = 300
MAX_PAGES = 300
# What says nothing about paging.
_LEFT_OUT = (Kind.NOTE, Kind.PUBLISHED, Kind.ROLE_CHANGED, Kind.POSTMORTEM)
_HELD_BACK = {Kind.ACKNOWLEDGED, Kind.SNOOZED, Kind.EMPTY_STEP, Kind.UNTOLD}
_GIVEN_BACK = {Kind.UNACKNOWLEDGED, Kind.ACK_EXPIRED, Kind.ESCALATED_NOW}


@dataclass(frozen=True, slots=True)
class Line:
    """Something that was so or happened; `is_stop`: it kept a page from somebody."""

    said: str
    at: datetime | None = None
    is_stop: bool = False


@dataclass(frozen=True, slots=True)
class Hindsight:
    """One incident as it was: its lines in the order of time, and the sentence."""

    incident: Incident
    lines: tuple[Line, ...]
    verdict: str
    has_reached: bool


def looking_back(
    *, incidents: Collection[Incident], at: datetime, now: datetime
) -> list[Hindsight]:
    """Return what was known of some incidents at `at`; two queries.

    The policy told is the one that an incident follows by now.
    """
    if not incidents:
        return []
    events: defaultdict[int, list[IncidentEvent]] = defaultdict(list)
    for event in _events(incidents, at):
        events[event.incident_id].append(event)
    pages: defaultdict[str, list[Notification]] = defaultdict(list)
    for row in _pages(incidents, at):
        pages[row.subject_key].append(row)
    return [
        _Look(
            incident=incident,
            events=events[incident.pk][::-1],
            pages=pages[thread_key(incident=incident)][::-1],
            at=at,
            now=now,
        ).told()
        for incident in incidents
    ]


def _events(incidents: Collection[Incident], at: datetime) -> Iterable[IncidentEvent]:
    """Load lines up to a moment, and later changes of priority; newest first."""
    return (
        IncidentEvent.objects.filter(
            Q(at__lte=at) | Q(kind=Kind.PRIORITY_CHANGED), incident__in=incidents
        )
        .exclude(kind__in=_LEFT_OUT)
        .select_related("actor")
        .order_by("-at", "-pk")[:MAX_EVENTS]
    )


def _pages(incidents: Collection[Incident], at: datetime) -> Iterable[Notification]:
    return (
        Notification.objects.filter(
            subject_key__in=[thread_key(incident=one) for one in incidents],
            purpose=PAGE,
            queued_at__lte=at,
        )
        .select_related("bundled_into")
        .defer("message", "bundled_into__message")
        .order_by("-pk")[:MAX_PAGES]
    )


@dataclass(slots=True)
class _Look:
    """One incident, its lines and its pages, oldest first."""

    incident: Incident
    events: list[IncidentEvent]
    pages: list[Notification]
    at: datetime
    now: datetime
    holder: str = ""
    snoozed_until: datetime | None = None

    def told(self) -> Hindsight:
        past = [event for event in self.events if event.at <= self.at]
        for event in past:
            self._follow(event)
        later = [event for event in self.events if event.at > self.at]
        reached = [row for row in self.pages if self._has_arrived(row)]
        lines = [
            Line(
                said=timeline.told(event=event),
                at=event.at,
                is_stop=event.kind in _HELD_BACK,
            )
            for event in past
        ]
        lines += [line for row in self.pages if (line := self._of_page(row))]
        lines.sort(key=lambda line: line.at or self.at)
        waiting = [] if later else list(self._of_policy())
        if later:
            before = Priority(later[0].data["from"]).short
            waiting.append(
                Line(
                    _("Its priority was %(old)s then; which steps that had isn't kept.")
                    % {"old": before}
                )
            )
        return Hindsight(
            incident=self.incident,
            lines=(*lines, *waiting),
            verdict=self._reached(reached) if reached else self._verdict(waiting),
            has_reached=bool(reached),
        )

    def _follow(self, event: IncidentEvent) -> None:
        """Keep who had it and until when it was silent."""
        if event.kind == Kind.ACKNOWLEDGED:
            self.holder, self.snoozed_until = event.who, None
        elif event.kind == Kind.HANDED_OVER:
            self.holder = event.data["to"]
        elif event.kind == Kind.SNOOZED:
            self.snoozed_until = parse_datetime(event.data["until"])
        elif event.kind == Kind.WOKEN:
            self.snoozed_until = None
            self.holder = "" if event.data.get("was_acknowledged") else self.holder
        elif event.kind in _GIVEN_BACK:
            self.holder = ""
            if event.kind == Kind.ESCALATED_NOW:
                self.snoozed_until = None

    def _has_arrived(self, row: Notification) -> bool:
        """Whether it had left by then, and isn't known to have been lost after."""
        carrier = row.bundled_into if row.status == _Status.BUNDLED else row
        return (
            carrier is not None
            and carrier.status == _Status.SENT
            and carrier.delivery_status != "failed"
            and carrier.ended_at is not None
            and carrier.ended_at <= self.at
        )

    def _of_page(self, row: Notification) -> Line | None:
        """Say what became of a page that had not arrived, or went with others."""
        words = {"who": row.receiver, "way": _way(row)}
        is_over = row.ended_at is not None and row.ended_at <= self.at
        if row.status == _Status.BUNDLED:
            return Line(
                _("%(who)s%(way)s: told in one message with others") % words,
                at=row.queued_at,
                is_stop=not self._has_arrived(row),
            )
        if self._has_arrived(row):
            return Line(
                _("%(who)s%(way)s: sent") % words, at=row.ended_at or row.queued_at
            )
        if not is_over:
            return Line(
                _("%(who)s%(way)s: had not left by then") % words,
                at=row.queued_at,
                is_stop=True,
            )
        outcome = _("the provider could not deliver it")
        if row.status != _Status.SENT:
            outcome = retold(row.outcome) or row.get_status_display()
        return Line(
            _("%(who)s%(way)s was not told: %(outcome)s")
            % {**words, "outcome": outcome},
            at=row.ended_at,
            is_stop=True,
        )

    def _of_policy(self) -> Iterator[Line]:
        """Say what tells nobody at once, and the steps whose hours had not begun."""
        if not self.incident.policy:
            return
        policy = escalation.read(self.incident.policy)
        if policy.is_digest:
            yield Line(
                _("A %(priority)s tells nobody at once: it waits for the daily digest.")
                % {"priority": Priority(policy.priority).short},
                is_stop=True,
            )
            return
        began = self.incident.escalation_began_at or self.incident.opened_at
        for number, step in enumerate(policy.steps, start=1):
            due = began + timedelta(seconds=step.after_s)
            opens = hours.opening(step.hours, due)
            if began <= self.at < opens:
                words = {"step": number, "when": clock(opens, now=self.now)}
                is_asleep = due <= self.at
                yield Line(
                    _("Step %(step)d is outside of its hours until %(when)s.") % words
                    if is_asleep
                    else _("Step %(step)d comes at %(when)s.") % words,
                    is_stop=is_asleep,
                )

    def _reached(self, rows: Sequence[Notification]) -> str:
        first = min(row.ended_at or row.queued_at for row in rows)
        return _("Somebody was paged: %(names)s, the first at %(when)s.") % {
            "names": ", ".join(dict.fromkeys(row.receiver for row in rows)),
            "when": clock(first, now=self.now),
        }

    def _verdict(self, waiting: Sequence[Line]) -> str:
        """Say in one sentence why no page had arrived; the first reason that holds."""
        if self.holder:
            return _("Nobody was paged, because %(name)s had acknowledged it.") % {
                "name": self.holder
            }
        if self.snoozed_until and self.snoozed_until > self.at:
            return _("Nobody was paged, because it was snoozed until %(until)s.") % {
                "until": clock(self.snoozed_until, now=self.now)
            }
        if any(row.ended_at is None or row.ended_at > self.at for row in self.pages):
            return _("Nobody was paged yet: the page was written and had not left.")
        if self.pages:
            return _("Nobody was paged, because no page about it was delivered.")
        if any(event.kind == Kind.UNTOLD for event in self.events):
            return _("Nobody was paged, because nothing could carry a page.")
        stops = [line.said for line in waiting if line.is_stop]
        if stops:
            return _("Nobody was paged. %(why)s") % {"why": stops[0]}
        if waiting:
            return _("Nobody was paged yet. %(why)s") % {"why": waiting[0].said}
        return _("Nobody was paged, and no page had been written by then.")


def _way(row: Notification) -> str:
    method = dict(method_kinds()).get(row.method, row.method)
    return _(" by %(method)s") % {"method": method} if method else ""
