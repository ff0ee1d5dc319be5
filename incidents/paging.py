"""Telling people: what the planner decides becomes outbox rows and lines of the timeline.

Every function works on an incident whose row the caller has locked; it changes the
object and the caller saves it, so that state, timeline and outbox commit together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Q

from incidents import escalation, timeline
from incidents.desk import ALIVE as ALIVE
from incidents.desk import PAGE as PAGE
from incidents.desk import Desk, Known
from incidents.escalation import expanding, planning
from incidents.escalation.expanding import NOTHING_TO_AVOID, Avoid, Delivery, Page
from incidents.escalation.planning import Progress
from incidents.escalation.policy import Policy
from incidents.inbound import links
from incidents.messages import Reason, Story, build, thread_key
from incidents.models import Incident, IncidentEvent
from incidents.reach import world_of
from notifications import services as outbox
from notifications.message import Message
from notifications.models import Channel, Notification
from notifications.services import Draft


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a page leaves: the reason, whose act it was, the priority before a raise."""

    reason: Reason
    actor: str = ""
    old: str = ""


def begin(*, incident: Incident, occasion: Occasion, now: datetime) -> None:
    """Climb from the first step on: page for what is due at once.

    Whatever was climbed before is forgotten. A digest policy tells nobody.
    """
    policy = escalation.read(incident.policy)
    incident.is_untold = False
    incident.has_empty_step = False
    progress = Progress(began_at=now)
    steps = planning.due(policy=policy, progress=progress, now=now)
    _keep(
        incident,
        planning.after(policy=policy, progress=progress, steps=steps, now=now),
    )
    _page(incident=incident, policy=policy, steps=steps, occasion=occasion, now=now)


def climb(*, incident: Incident, now: datetime, desk: Desk | None = None) -> None:
    """Page for every step that is due; after a page for nobody, for all that have run."""
    policy = escalation.read(incident.policy)
    progress = progress_of(incident)
    steps = planning.due(policy=policy, progress=progress, now=now)
    _keep(
        incident,
        planning.after(policy=policy, progress=progress, steps=steps, now=now),
    )
    reason = Reason.REMINDED if incident.paged_at else Reason.OPENED
    if incident.is_untold:
        steps = tuple(sorted({*steps, *progress.started}))
        reason = Reason.RETRIED
    _page(
        incident=incident,
        policy=policy,
        steps=steps,
        occasion=Occasion(reason),
        now=now,
        desk=desk,
    )


def climb_now(*, incident: Incident, occasion: Occasion, now: datetime) -> None:
    """Run the next step at once, because somebody asks for it; see `planning.leap`."""
    policy = escalation.read(incident.policy)
    progress, steps = planning.leap(
        policy=policy, progress=progress_of(incident), now=now
    )
    _keep(incident, progress)
    _page(incident=incident, policy=policy, steps=steps, occasion=occasion, now=now)


def raise_to(
    *,
    incident: Incident,
    policy: Policy,
    occasion: Occasion,
    now: datetime,
    is_known: bool,
    is_back: bool,
) -> None:
    """Let a more urgent policy take over.

    `is_known`: who was told of it lately is not told again, and unless somebody else is
    told the climb goes on where it was. It does so too when the incident has been as
    urgent before (`is_back`): a priority that goes up and down can't keep the later
    steps from coming.
    """
    incident.policy = escalation.snapshot(policy)
    fresh = Progress(began_at=now)
    progress = fresh
    is_climbing = incident.status == Incident.Status.TRIGGERED
    if is_climbing and (is_known or is_back):
        progress = Progress(began_at=progress_of(incident).began_at)
    steps = planning.due(policy=policy, progress=progress, now=now)
    is_told = _page(
        incident=incident,
        policy=policy,
        steps=steps,
        occasion=occasion,
        now=now,
        is_only_untold=is_known,
    )
    if is_told and not (is_climbing and is_back):
        progress = fresh
    _keep(
        incident,
        planning.after(policy=policy, progress=progress, steps=steps, now=now),
    )


def lower_to(*, incident: Incident, policy: Policy, now: datetime) -> None:
    """Let a less urgent policy take over; what it does at once counts as done.

    Not where nobody was told yet: whoever the first policy would have told later never
    hears of it, so the new one begins.
    """
    began_at = progress_of(incident).began_at
    incident.policy = escalation.snapshot(policy)
    if incident.is_calling(now=now) and incident.paged_at is None:
        begin(incident=incident, occasion=Occasion(Reason.OPENED), now=now)
        return
    _keep(
        incident,
        planning.skipping_first(policy=policy, began_at=began_at, now=now),
    )


def page_untold(*, incident: Incident, occasion: Occasion, now: datetime) -> None:
    """Page those whom the steps so far name and whose page never left."""
    policy = escalation.read(incident.policy)
    _page(
        incident=incident,
        policy=policy,
        steps=progress_of(incident).started,
        occasion=occasion,
        now=now,
        is_only_untold=True,
    )


def page_others(*, incident: Incident, now: datetime, desk: Desk | None = None) -> None:
    """Page by other ways than those that refused what was sent so far."""
    policy = escalation.read(incident.policy)
    _page(
        incident=incident,
        policy=policy,
        steps=progress_of(incident).started,
        occasion=Occasion(Reason.UNDELIVERED),
        now=now,
        desk=desk,
        avoid=_failed(incident),
    )


def progress_of(incident: Incident) -> Progress:
    """Return how far the present climb is."""
    if incident.escalation_began_at is not None:
        return planning.read_progress(
            began_at=incident.escalation_began_at, runs=incident.escalation_runs
        )
    # Opened before there were steps: its one step has run if it was paged.
    return Progress(
        began_at=incident.paged_at or incident.opened_at,
        runs=(1,) if incident.paged_at else (),
    )


def next_page(*, incident: Incident, now: datetime) -> Page | None:
    """Return what the next page would be, were it now; None when none is due.

    Some ten queries.
    """
    policy = escalation.read(incident.policy)
    step = planning.next_step(policy=policy, progress=progress_of(incident))
    if step is None:
        return None
    world = world_of(policy=policy, at=now)
    return expanding.decide(policy=policy, steps=[step], world=world)


def schedule(*, incident: Incident, now: datetime) -> None:
    """Set when the engine looks at the incident next."""
    incident.next_escalation_at = _next_look(incident, now)


def _next_look(incident: Incident, now: datetime) -> datetime | None:
    if incident.status == Incident.Status.RESOLVED:
        return None
    if incident.snoozed_until is not None and incident.snoozed_until > now:
        return incident.snoozed_until
    if incident.status == Incident.Status.ACKNOWLEDGED:
        return incident.ack_expires_at
    at = planning.next_at(
        policy=escalation.read(incident.policy), progress=progress_of(incident)
    )
    if not incident.is_untold:
        return at
    retry_at = planning.next_untold_try(page_count=incident.escalation_count, now=now)
    return min(at, retry_at) if at is not None else retry_at


def withdraw(*, incident: Incident, reason: str, now: datetime) -> int:
    """Cancel every message about the incident that has not left; return how many."""
    return outbox.cancel(
        subject_key=thread_key(incident=incident), reason=reason, now=now
    )


def withdraw_pages(*, incident: Incident, reason: str, now: datetime) -> int:
    """Cancel the pages that have not left, and leave questions and answers alone."""
    return outbox.cancel(
        subject_key=thread_key(incident=incident),
        reason=reason,
        now=now,
        purposes=[PAGE],
    )


def _page(
    *,
    incident: Incident,
    policy: Policy,
    steps: tuple[int, ...],
    occasion: Occasion,
    now: datetime,
    desk: Desk | None = None,
    is_only_untold: bool = False,
    avoid: Avoid = NOTHING_TO_AVOID,
) -> bool:
    """Write what the turn of some steps comes to; return whether anybody is told by it.

    `is_only_untold` leaves out who has a page or will get one. When nobody can be told,
    the timeline and `is_untold` say so and it is tried again later.
    """
    if policy.is_digest or not steps:
        return False
    if desk is None:
        desk = Desk(at=now, incidents=[incident])
        is_told = _page(
            incident=incident,
            policy=policy,
            steps=steps,
            occasion=occasion,
            now=now,
            desk=desk,
            is_only_untold=is_only_untold,
            avoid=avoid,
        )
        desk.clear()
        return is_told
    page = expanding.decide(
        policy=policy, steps=steps, world=desk.worlds.of(policy), avoid=avoid
    )
    if page.empties:
        incident.has_empty_step = True
    if page.is_for_nobody:
        _note_untold(incident=incident, reason=occasion.reason, page=page, desk=desk)
        return False
    _note_empties(incident=incident, page=page, desk=desk)
    known = desk.known(incident)
    if is_only_untold:
        # Who had an e-mail of a lower priority still gets the SMS of the higher one,
        # while nobody has it.
        is_held = incident.status == Incident.Status.ACKNOWLEDGED
        page = page.without(
            channels=known.channels,
            contacts=known.contacts if is_held else frozenset(),
            ways=known.ways,
        )
        if page.is_for_nobody:
            return False
    story = desk.story(
        incident, reason=occasion.reason, actor=occasion.actor, old=occasion.old
    )
    _write(incident=incident, page=page, story=story, known=known, desk=desk)
    return True


def _write(
    *, incident: Incident, page: Page, story: Story, known: Known, desk: Desk
) -> None:
    # The number is unique to this page: a second engine that decides the same collides
    # here.
    key = f"incident:{incident.pk}:page:{incident.escalation_count}"
    incident.escalation_count += 1
    letters = _Letters(story=story, known=known, has_mention=page.has_mention)
    desk.send(
        letters.to_channel(desk.worlds.channel(each.channel_id), key=key)
        if each.channel_id is not None
        else letters.to_person(each, desk=desk, key=key)
        for each in page.deliveries
    )
    incident.paged_at = story.now
    incident.is_untold = False
    to = _by_name(page.deliveries)
    desk.note(
        timeline.line(
            incident=incident,
            kind=IncidentEvent.Kind.ESCALATED
            if story.reason == Reason.REMINDED
            else IncidentEvent.Kind.NOTIFIED,
            now=story.now,
            data={
                "reason": str(story.reason),
                "channels": list(to),
                "is_fallback": page.resort is not None,
                "resort": page.resort,
                "steps": [step + 1 for step in page.steps],
                "to": list(to.values()),
            },
        )
    )


class _Letters:
    """The messages of one page; each text is written once."""

    def __init__(self, *, story: Story, known: Known, has_mention: bool) -> None:
        self._story, self._known, self._has_mention = story, known, has_mention
        self._texts: dict[tuple[str, bool], Message] = {}

    def to_channel(self, channel: Channel, *, key: str) -> Draft:
        is_first = channel.pk not in self._known.channels
        return Draft(
            channel=channel,
            message=self._text(channel.language, is_first),
            purpose=PAGE,
            subject_key=thread_key(incident=self._story.incident),
            idempotency_key=f"{key}:{channel.pk}",
            lane=Notification.Lane.PAGING,
        )

    def to_person(self, delivery: Delivery, *, desk: Desk, key: str) -> Draft:
        assert delivery.address_id is not None  # noqa: S101 it is no channel
        address = desk.worlds.address(delivery.address_id)
        incident = self._story.incident
        text = self._text(
            address.contact.language, address.pk not in self._known.addresses
        )
        return Draft(
            address=address,
            message=replace(
                text, ack_url=links.ack_url(incident=incident, address=address)
            ),
            purpose=PAGE,
            subject_key=thread_key(incident=incident),
            idempotency_key=f"{key}:address:{address.pk}:{delivery.method}",
            lane=Notification.Lane.PAGING,
            not_before=delivery.not_before,
            method=delivery.method,
            route_key=f"{key}:contact:{delivery.contact_id}",
        )

    def _text(self, language: str, is_first: bool) -> Message:
        if (language, is_first) not in self._texts:
            self._texts[language, is_first] = build(
                story=self._story,
                language=language,
                is_first_in_thread=is_first,
                has_mention=self._has_mention,
            )
        return self._texts[language, is_first]


def _by_name(deliveries: Iterable[Delivery]) -> dict[str, dict[str, Any]]:
    """Say for the timeline who is told by what, how soon, and why."""
    found: dict[str, dict[str, Any]] = {}
    for delivery in deliveries:
        line = found.setdefault(
            delivery.name,
            {
                "name": delivery.name,
                "methods": [],
                "step": None if delivery.step is None else delivery.step + 1,
                "target": delivery.why.target,
                "via": delivery.why.name,
            },
        )
        if delivery.method:
            line["methods"].append(delivery.method)
    return found


def _note_untold(*, incident: Incident, reason: Reason, page: Page, desk: Desk) -> None:
    """Say once, not at each try, that a page reached nobody."""
    if incident.is_untold:
        return
    incident.is_untold = True
    desk.note(
        timeline.line(
            incident=incident,
            kind=IncidentEvent.Kind.UNTOLD,
            now=desk.at,
            data={"reason": str(reason), "misses": _misses(page.misses)},
        )
    )


def _note_empties(*, incident: Incident, page: Page, desk: Desk) -> None:
    """Say once a climb which step reached nobody, and who is told in its place."""
    if not page.empties:
        return
    lines = incident.events.filter(
        kind=IncidentEvent.Kind.EMPTY_STEP, at__gte=progress_of(incident).began_at
    )
    said = set(lines.values_list("data__step", flat=True))
    for empty in page.empties:
        if empty.step + 1 not in said:
            desk.note(
                timeline.line(
                    incident=incident,
                    kind=IncidentEvent.Kind.EMPTY_STEP,
                    now=desk.at,
                    data={
                        "step": empty.step + 1,
                        "resort": page.resort,
                        "misses": _misses(empty.misses),
                    },
                )
            )


def _misses(misses: Iterable[expanding.Miss]) -> list[dict[str, str]]:
    return [miss.facts for miss in misses]


def _keep(incident: Incident, progress: Progress) -> None:
    incident.escalation_began_at = progress.began_at
    incident.escalation_runs = progress.stored()


def _failed(incident: Incident) -> Avoid:
    """Return what a page for this incident died on."""
    dead = Notification.objects.filter(
        Q(status=Notification.Status.DEAD) | Q(delivery_status="failed"),
        subject_key=thread_key(incident=incident),
        purpose=PAGE,
    )
    found = list(dead.values_list("channel_id", "address_id"))
    return Avoid(
        channels=_ids(row[0] for row in found),
        addresses=_ids(row[1] for row in found),
    )


def _ids(found: Iterable[int | None]) -> frozenset[int]:
    return frozenset(pk for pk in found if pk is not None)
