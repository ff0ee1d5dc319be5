"""Telling people: what the planner decides becomes outbox rows and lines of the timeline.

Every function works on an incident whose row the caller has locked; it changes the
object and the caller saves it, so that state, timeline and outbox commit together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from incidents import escalation, timeline
from incidents.escalation import expanding, planning
from incidents.escalation.expanding import NOTHING_TO_AVOID, Avoid, Delivery, Page
from incidents.escalation.planning import Progress
from incidents.escalation.policy import Policy
from incidents.inbound import links
from incidents.messages import Reason, Story, build, story_of, thread_key
from incidents.models import Incident, IncidentEvent
from incidents.reach import Worlds
from notifications import services as outbox
from notifications.models import Notification
from notifications.services import Draft

# The purpose of these outbox rows.
PAGE = "page"

ALIVE = [
    Notification.Status.QUEUED,
    Notification.Status.SENDING,
    Notification.Status.SENT,
    Notification.Status.BUNDLED,
]
# Reasons to say it to those who know already.
_AGAIN = {Reason.REMINDED, Reason.ESCALATED}


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a page leaves: the reason, whose act it was, the priority before a raise."""

    reason: Reason
    actor: str = ""
    old: str = ""


@dataclass(frozen=True, slots=True)
class _Known:
    """Who has a page about an incident, or will get one."""

    channels: frozenset[int]
    addresses: frozenset[int]
    contacts: frozenset[int]


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


def climb(*, incident: Incident, now: datetime, worlds: Worlds | None = None) -> None:
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
        worlds=worlds,
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
    """Let a less urgent policy take over; what it does at once counts as done."""
    began_at = progress_of(incident).began_at
    incident.policy = escalation.snapshot(policy)
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


def page_others(
    *, incident: Incident, now: datetime, worlds: Worlds | None = None
) -> None:
    """Page by other ways than those that refused what was sent so far."""
    policy = escalation.read(incident.policy)
    _page(
        incident=incident,
        policy=policy,
        steps=progress_of(incident).started,
        occasion=Occasion(Reason.UNDELIVERED),
        now=now,
        worlds=worlds,
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
    world = Worlds(at=now, policies=[policy]).of(policy)
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


def _page(
    *,
    incident: Incident,
    policy: Policy,
    steps: tuple[int, ...],
    occasion: Occasion,
    now: datetime,
    worlds: Worlds | None = None,
    is_only_untold: bool = False,
    avoid: Avoid = NOTHING_TO_AVOID,
) -> bool:
    """Write what the turn of some steps comes to; return whether anybody is told by it.

    `is_only_untold` leaves out who has a page or will get one. When nobody can be told,
    the timeline and `is_untold` say so and it is tried again later.
    """
    if policy.is_digest or not steps:
        return False
    worlds = worlds or Worlds(at=now, policies=[policy])
    page = expanding.decide(
        policy=policy, steps=steps, world=worlds.of(policy), avoid=avoid
    )
    if page.empties:
        incident.has_empty_step = True
    if page.is_for_nobody:
        _note_untold(incident=incident, reason=occasion.reason, now=now, page=page)
        return False
    _note_empties(incident=incident, now=now, page=page)
    known = _known(incident)
    if is_only_untold:
        page = page.without(channels=known.channels, contacts=known.contacts)
        if page.is_for_nobody:
            return False
    _write(
        incident=incident,
        page=page,
        story=story_of(
            incident=incident,
            reason=occasion.reason,
            now=now,
            actor=occasion.actor,
            old=occasion.old,
        ),
        known=known,
        worlds=worlds,
    )
    return True


def _write(
    *, incident: Incident, page: Page, story: Story, known: _Known, worlds: Worlds
) -> None:
    number = incident.escalation_count
    incident.escalation_count = number + 1
    outbox.enqueue_all(
        drafts=[
            _draft(
                incident=incident,
                delivery=delivery,
                number=number,
                story=story,
                known=known,
                worlds=worlds,
                has_mention=page.has_mention,
            )
            for delivery in page.deliveries
        ],
        now=story.now,
    )
    incident.paged_at = story.now
    incident.is_untold = False
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.ESCALATED
        if story.reason == Reason.REMINDED
        else IncidentEvent.Kind.NOTIFIED,
        now=story.now,
        data={
            "reason": str(story.reason),
            "channels": list(_by_name(page.deliveries)),
            "is_fallback": page.resort is not None,
            "resort": page.resort,
            "steps": [step + 1 for step in page.steps],
            "to": list(_by_name(page.deliveries).values()),
        },
    )


def _draft(
    *,
    incident: Incident,
    delivery: Delivery,
    number: int,
    story: Story,
    known: _Known,
    worlds: Worlds,
    has_mention: bool,
) -> Draft:
    # The number is unique to this page: a second engine that decides the same collides
    # here.
    page = f"incident:{incident.pk}:page:{number}"
    channel = address = None
    if delivery.channel_id is not None:
        channel = worlds.channel(delivery.channel_id)
        key, route_key, language = f"{page}:{channel.pk}", "", channel.language
        is_first = channel.pk not in known.channels
    else:
        assert delivery.address_id is not None  # noqa: S101 it is one or the other
        address = worlds.address(delivery.address_id)
        key = f"{page}:address:{address.pk}:{delivery.method}"
        route_key = f"{page}:contact:{delivery.contact_id}"
        language = address.contact.language
        is_first = address.pk not in known.addresses
    return Draft(
        channel=channel,
        address=address,
        message=build(
            story=story,
            language=language,
            is_first_in_thread=is_first,
            has_mention=has_mention,
            ack_url=links.ack_url(incident=incident, address=address)
            if address is not None
            else "",
        ),
        purpose=PAGE,
        subject_key=thread_key(incident=incident),
        idempotency_key=key,
        lane=Notification.Lane.PAGING,
        not_before=delivery.not_before,
        method=delivery.method,
        route_key=route_key,
    )


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


def _note_untold(
    *, incident: Incident, reason: Reason, now: datetime, page: Page
) -> None:
    """Say once, not at each try, that a page reached nobody."""
    if incident.is_untold:
        return
    incident.is_untold = True
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.UNTOLD,
        now=now,
        data={"reason": str(reason), "misses": _misses(page.misses)},
    )


def _note_empties(*, incident: Incident, now: datetime, page: Page) -> None:
    """Say once a climb which step reached nobody, and who is told in its place."""
    if not page.empties:
        return
    lines = incident.events.filter(
        kind=IncidentEvent.Kind.EMPTY_STEP, at__gte=progress_of(incident).began_at
    )
    said = set(lines.values_list("data__step", flat=True))
    for empty in page.empties:
        if empty.step + 1 not in said:
            timeline.add(
                incident=incident,
                kind=IncidentEvent.Kind.EMPTY_STEP,
                now=now,
                data={
                    "step": empty.step + 1,
                    "resort": page.resort,
                    "misses": _misses(empty.misses),
                },
            )


def _misses(misses: Iterable[expanding.Miss]) -> list[dict[str, str]]:
    return [miss.facts for miss in misses]


def _keep(incident: Incident, progress: Progress) -> None:
    incident.escalation_began_at = progress.began_at
    incident.escalation_runs = progress.stored()


def _known(incident: Incident) -> _Known:
    rows = Notification.objects.filter(
        subject_key=thread_key(incident=incident), purpose=PAGE, status__in=ALIVE
    ).values_list("channel_id", "address_id", "address__contact_id")
    found = list(rows)
    return _Known(
        channels=_ids(row[0] for row in found),
        addresses=_ids(row[1] for row in found),
        contacts=_ids(row[2] for row in found),
    )


def _failed(incident: Incident) -> Avoid:
    """Return what a page for this incident died on."""
    dead = Notification.objects.filter(
        subject_key=thread_key(incident=incident),
        purpose=PAGE,
        status=Notification.Status.DEAD,
    )
    found = list(dead.values_list("channel_id", "address_id"))
    return Avoid(
        channels=_ids(row[0] for row in found),
        addresses=_ids(row[1] for row in found),
    )


def _ids(found: Iterable[int | None]) -> frozenset[int]:
    return frozenset(pk for pk in found if pk is not None)
