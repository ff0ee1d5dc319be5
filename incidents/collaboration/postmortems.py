"""Postmortems: due after a P0 or P1, written together, finished or waived with a reason.

Five working days, as PagerDuty's incident response guide has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from incidents import people, timeline
from incidents.acting import UnableToAct, locked
from incidents.collaboration import owning
from incidents.models import Incident, IncidentEvent, Postmortem
from incidents.people import Actor
from t4g_portal.lib.priority import Priority, highest
from t4g_portal.lib.working_time import add_working_days

WORKING_DAYS = 5
REQUIRED = (Priority.P0.value, Priority.P1.value)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the template."""

    name: str
    label: Any
    # What to write there.
    hint: Any
    is_needed: bool = False


# In the order in which they are read.
PARTS = (
    Part(
        "summary",
        gettext_lazy("Summary"),
        gettext_lazy("What happened, in two or three sentences for everybody."),
        is_needed=True,
    ),
    Part(
        "impact",
        gettext_lazy("Impact"),
        gettext_lazy("Who felt it, how, for how long, how many."),
        is_needed=True,
    ),
    Part(
        "cause",
        gettext_lazy("Causes"),
        gettext_lazy("What made it possible. Ask why until it is about the system."),
        is_needed=True,
    ),
    Part(
        "response",
        gettext_lazy("Response"),
        gettext_lazy("How we noticed, what we tried, what helped."),
    ),
    Part(
        "lessons",
        gettext_lazy("Lessons"),
        gettext_lazy("What went well, what did not, where we were lucky."),
    ),
)
MAX_PART = 20_000
MAX_REASON = 300

Kind = IncidentEvent.Kind
Status = Postmortem.Status


class UnableToWrite(UnableToAct):
    """The postmortem's state does not allow it, or a part is too long."""


class ChangedMeanwhile(UnableToWrite):
    """Somebody else has saved it since it was opened."""


class UnableToFinish(UnableToWrite):
    """A part is missing, or it is finished already."""


def require(*, incident: Incident, now: datetime) -> None:
    """Make a postmortem due for a locked incident that has ended, if it needs one.

    What it was at its worst decides: lowering a P0 while mending it changes nothing.
    One that ends again after flapping has its days from then. Drills need none. The
    timeline stays that of the incident; the page says what is due.
    """
    if incident.is_drill or _worst(incident) not in REQUIRED:
        return
    due_on = due_day(incident=incident, now=now)
    row, is_new = Postmortem.objects.get_or_create(
        incident=incident, defaults={"created_at": now, "due_on": due_on}
    )
    if not is_new:
        if row.is_open:
            row.due_on = due_on
            row.save(update_fields=["due_on"])
        return
    owner = _first_owner(incident)
    if owner is not None:
        owning.give(row, owner)
        row.save()


def due_day(*, incident: Incident, now: datetime) -> date:
    """Return the day by which it is due: five working days after the end."""
    try:
        zone = ZoneInfo(incident.service.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo(timezone.get_default_timezone_name())
    ended_at = incident.resolved_at or now
    return add_working_days(ended_at.astimezone(zone).date(), WORKING_DAYS)


def save(
    *,
    incident_id: int,
    user: User,
    via: str,
    now: datetime,
    parts: Mapping[str, str],
    expected: int | None = None,
) -> Postmortem:
    """Write the parts named; the first save of an incident without one begins it.

    `expected`: the revision that the writer has read; None takes any. Raises
    UnableToWrite when it is finished or waived or a part is too long,
    ChangedMeanwhile, and Incident.DoesNotExist.
    """
    actor = Actor(user)
    texts = {part: _storable(parts[part.name]) for part in PARTS if part.name in parts}
    with _locked(incident_id, now) as (incident, row):
        if not row.is_open:
            raise UnableToWrite(_("It is closed. Open it again to change it."))
        for part, text in texts.items():
            if len(text) > MAX_PART:
                raise UnableToWrite(
                    _("“%(part)s” has %(length)d characters; %(limit)d fit.")
                    % {
                        "part": part.label,
                        "length": len(text),
                        "limit": MAX_PART,
                    }
                )
        if expected is not None and row.revision != expected:
            raise ChangedMeanwhile(
                _("%(name)s has saved it meanwhile. Take over what is new, then save.")
                % {"name": row.edited_by_name}
            )
        for part, text in texts.items():
            setattr(row, part.name, text)
        if not row.owner_name:
            owning.give(row, people.whole(actor))
            _note(incident, "owner", now, {"name": row.owner_name}, actor, via)
        row.edited_at = now
        row.edited_by_name = actor.name
        row.revision += 1
        row.save()
        return row


def give(
    *, incident_id: int, user: User, via: str, now: datetime, to: Actor
) -> Postmortem:
    """Say who writes it. Raises UnableToWrite when it is closed or theirs already."""
    with _locked(incident_id, now) as (incident, row):
        if not row.is_open:
            raise UnableToWrite(_("It is closed. Open it again to change it."))
        to = people.whole(to)
        if row.is_of(to):
            raise UnableToWrite(_("%(name)s writes it already.") % {"name": to.name})
        owning.give(row, to)
        row.save()
        _note(incident, "owner", now, {"name": row.owner_name}, Actor(user), via)
        return row


def finish(*, incident_id: int, user: User, via: str, now: datetime) -> Postmortem:
    """Declare it written. Raises UnableToFinish, naming the parts that are missing."""
    with _locked(incident_id, now) as (incident, row):
        if not row.is_open:
            raise UnableToFinish(_("It is closed already."))
        if incident.is_open:
            raise UnableToFinish(_("The incident is still open. Resolve it first."))
        missing = [
            str(part.label)
            for part in PARTS
            if part.is_needed and not getattr(row, part.name)
        ]
        if missing:
            raise UnableToFinish(
                _("Write these parts first: %(parts)s.") % {"parts": ", ".join(missing)}
            )
        _end(incident, row, Status.FINISHED, Actor(user), via, now)
        return row


def waive(
    *, incident_id: int, user: User, via: str, now: datetime, reason: str
) -> Postmortem:
    """Decide that none is needed, and say why. Raises UnableToWrite."""
    reason = " ".join(reason.replace("\x00", "").split())
    if not reason:
        raise UnableToWrite(_("Say why none is needed."))
    if len(reason) > MAX_REASON:
        raise UnableToWrite(
            _("The reason has %(length)d characters; %(limit)d fit. Shorten it.")
            % {"length": len(reason), "limit": MAX_REASON}
        )
    with _locked(incident_id, now) as (incident, row):
        if not row.is_open:
            raise UnableToWrite(_("It is closed already."))
        row.waived_reason = reason
        _end(incident, row, Status.WAIVED, Actor(user), via, now, text=reason)
        return row


def reopen(*, incident_id: int, user: User, via: str, now: datetime) -> Postmortem:
    """Open a finished or waived one again. Raises UnableToWrite when it is open."""
    with _locked(incident_id, now) as (incident, row):
        if row.is_open:
            raise UnableToWrite(_("It is open already."))
        row.status = Status.DRAFT
        row.ended_at = None
        row.ended_by_name = ""
        row.waived_reason = ""
        row.save()
        _note(incident, "reopened", now, {}, Actor(user), via)
        return row


def _end(
    incident: Incident,
    row: Postmortem,
    status: Postmortem.Status,
    actor: Actor,
    via: str,
    now: datetime,
    text: str = "",
) -> None:
    row.status = status
    row.ended_at = now
    row.ended_by_name = actor.name
    row.save()
    _note(incident, status.value, now, {}, actor, via, text)


@contextmanager
def _locked(incident_id: int, now: datetime) -> Iterator[tuple[Incident, Postmortem]]:
    """Hold the incident and its postmortem; what was not due begins here."""
    with locked(incident_id) as incident:
        if incident.merged_into_id is not None:
            raise UnableToWrite(
                _("It was merged into #%(number)d. Write that one's postmortem.")
                % {"number": incident.merged_into_id}
            )
        row, _made = Postmortem.objects.get_or_create(
            incident=incident, defaults={"created_at": now}
        )
        yield incident, row


def _worst(incident: Incident) -> str:
    past = incident.events.filter(kind=Kind.PRIORITY_CHANGED).values_list(
        "data__from", flat=True
    )
    return highest([*past, incident.priority])


def _first_owner(incident: Incident) -> Actor | None:
    """Return the commander, else who had it, else who resolved it; they know most."""
    commander = incident.roles.filter(role="commander").first()
    pairs = [
        (incident.acknowledged_by, incident.acknowledged_by_contact),
        (incident.resolved_by, incident.resolved_by_contact),
    ]
    if commander is not None:
        pairs.insert(0, (commander.user, commander.contact))
    for user, contact in pairs:
        if user is not None or contact is not None:
            return people.whole(Actor(user, contact))
    return None


def _note(
    incident: Incident,
    act: str,
    now: datetime,
    data: dict[str, str],
    actor: Actor | None = None,
    via: str = IncidentEvent.Via.ENGINE,
    text: str = "",
) -> None:
    timeline.add(
        incident=incident,
        kind=Kind.POSTMORTEM,
        now=now,
        actor=actor,
        via=via,
        text=text,
        data={"act": act, **data},
    )


def _storable(text: str) -> str:
    return text.replace("\x00", "").replace("\r\n", "\n").strip()
