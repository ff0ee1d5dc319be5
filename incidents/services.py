"""What people do to an incident, the same from every page, link and API.

Each act locks the row, checks that the state still allows it, and writes the state,
the timeline and the outbox in one transaction. Whoever acts has an account (`user`), is
a contact that answered by SMS, link, Slack or phone (`contact`), or both. The sentences
of the errors are for people. All raise Incident.DoesNotExist for an unknown incident.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents import (
    acting,
    escalation,
    holding,
    lifecycle,
    paging,
    priorities,
    timeline,
)
from incidents.acting import has, locked, refuse_resolved, store
from incidents.collaboration import handovers
from incidents.messages import Reason
from incidents.models import Alert, Incident, IncidentEvent
from incidents.paging import Occasion
from incidents.people import Actor
from notifications.models import Contact
from t4g_portal.lib.priority import Priority

MAX_NOTE = 10_000
MAX_PUBLIC_MESSAGE = 1000
# Longer, and it is a decision to live with it, which belongs into the matrix.
MAX_SNOOZE = timedelta(days=7)

Kind = IncidentEvent.Kind
Status = Incident.Status
# What interfaces catch.
UnableToAct = acting.UnableToAct


class UnableToAcknowledge(UnableToAct):
    """Somebody else has it, or it is resolved."""


class UnableToEscalate(UnableToAct):
    """It is resolved, or its priority tells nobody at once."""


class UnableToUnacknowledge(UnableToAct):
    """Nobody has acknowledged it, or it is resolved."""


class UnableToResolve(UnableToAct):
    """It is resolved already, or alerts still fire."""


class StillFiring(UnableToResolve):
    """Alerts of it still fire, and nobody said to close them."""


class UnableToAddNote(UnableToAct):
    """The note is empty or too long."""


class UnableToTellPublic(UnableToAct):
    """The message is too long, or nothing would change."""


class UnableToSnooze(UnableToAct):
    """It is resolved, or the time makes no sense."""


class UnableToChangePriority(UnableToAct):
    """It is resolved, or has this priority already."""


def acknowledge(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    contact: Contact | None = None,
) -> Incident:
    """Take an incident: nobody is paged about it any more.

    Where acknowledgements expire, doing it again says that one still works on it;
    elsewhere it changes nothing. Whoever was asked to take it over, accepts so. Raises
    UnableToAcknowledge when it is resolved or somebody else has it.
    """
    actor = Actor(user, contact)
    with locked(incident_id) as incident:
        refuse_resolved(incident, UnableToAcknowledge)
        if incident.status == Status.ACKNOWLEDGED:
            if has(incident, actor):
                return _renewed(incident, actor, via, now)
            if handovers.accept_by_acknowledging(
                incident=incident, actor=actor, via=via, now=now
            ):
                return store(incident, now)
            raise UnableToAcknowledge(
                _("%(name)s has already acknowledged it.") % {"name": incident.holder}
            )
        holding.take(incident=incident, actor=actor, now=now)
        # After it, because taking cancels what has not left, and this is to be heard.
        handovers.settle(incident=incident, actor=actor, now=now)
        timeline.add(
            incident=incident, kind=Kind.ACKNOWLEDGED, now=now, actor=actor, via=via
        )
        return store(incident, now)


def _renewed(incident: Incident, actor: Actor, via: str, now: datetime) -> Incident:
    # A raise pages even what somebody has; their word ends that, too.
    stopped = paging.withdraw_pages(incident=incident, reason="acknowledged", now=now)
    if incident.ack_expires_at is None and not stopped:
        return incident
    holding.vouch(incident=incident, now=now)
    timeline.add(incident=incident, kind=Kind.RENEWED, now=now, actor=actor, via=via)
    return store(incident, now)


def escalate_now(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    contact: Contact | None = None,
) -> Incident:
    """Run the next step of the policy at once; when all have run, the last one again.

    Whoever has the incident gives it back by that: it pages on until somebody else
    takes it. A snooze ends. Raises UnableToEscalate.
    """
    actor = Actor(user, contact)
    with locked(incident_id) as incident:
        refuse_resolved(incident, UnableToEscalate)
        if escalation.read(incident.policy).is_digest:
            raise UnableToEscalate(
                _("Its priority tells nobody at once. Raise the priority.")
            )
        if incident.status == Status.ACKNOWLEDGED:
            holding.take_back(incident=incident)
        incident.snoozed_until = None
        timeline.add(
            incident=incident, kind=Kind.ESCALATED_NOW, now=now, actor=actor, via=via
        )
        paging.climb_now(
            incident=incident,
            occasion=Occasion(Reason.ESCALATED, actor=actor.name),
            now=now,
        )
        return store(incident, now)


def unacknowledge(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    contact: Contact | None = None,
) -> Incident:
    """Give an incident back: it is triggered again and pages at once.

    Raises UnableToUnacknowledge when nobody has it or it is resolved.
    """
    actor = Actor(user, contact)
    with locked(incident_id) as incident:
        refuse_resolved(incident, UnableToUnacknowledge)
        if incident.status != Status.ACKNOWLEDGED:
            raise UnableToUnacknowledge(_("Nobody has acknowledged it."))
        holding.take_back(incident=incident)
        incident.snoozed_until = None
        timeline.add(
            incident=incident, kind=Kind.UNACKNOWLEDGED, now=now, actor=actor, via=via
        )
        paging.begin(
            incident=incident,
            occasion=Occasion(Reason.RETURNED, actor=actor.name),
            now=now,
        )
        return store(incident, now)


def resolve_incident(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    even_if_firing: bool = False,
    contact: Contact | None = None,
) -> Incident:
    """Declare an incident over and tell those who were told of it.

    Raises UnableToResolve when it is over already, or while alerts fire unless
    `even_if_firing`. That closes the alerts too; a condition that still holds raises
    a new incident, and pages, as soon as it is judged again.
    """
    actor = Actor(user, contact)
    with locked(incident_id) as incident:
        refuse_resolved(incident, UnableToResolve)
        firing = incident.alerts.filter(status=Alert.Status.FIRING).count()
        if firing and not even_if_firing:
            raise StillFiring(
                ngettext(
                    "%(count)d alert is still firing. It resolves by itself when the "
                    "alert ends; tick the box to close it anyway.",
                    "%(count)d alerts are still firing. It resolves by itself when "
                    "they end; tick the box to close it anyway.",
                    firing,
                )
                % {"count": firing}
            )
        lifecycle.end(
            incident=incident,
            now=now,
            actor=actor,
            via=via,
            closed_alert_count=lifecycle.close_alerts(incident=incident, now=now),
        )
        return incident


def add_note(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    text: str,
    contact: Contact | None = None,
) -> IncidentEvent:
    """Write a note into the timeline, of an open or a resolved incident.

    Raises UnableToAddNote for an empty text and above 10,000 characters.
    """
    text = text.replace("\x00", "").strip()
    if not text:
        raise UnableToAddNote(_("The note is empty. Write what you saw or did."))
    if len(text) > MAX_NOTE:
        raise UnableToAddNote(
            _("The note has %(length)d characters; %(limit)d fit. Shorten it.")
            % {"length": len(text), "limit": MAX_NOTE}
        )
    return timeline.add(
        incident=Incident.objects.get(pk=incident_id),
        kind=Kind.NOTE,
        now=now,
        actor=Actor(user, contact),
        via=via,
        text=text,
    )


def tell_public(
    *,
    incident_id: int,
    user: User,
    via: str,
    now: datetime,
    message: str,
    is_public: bool = True,
) -> Incident:
    """Say on the status page what users should know, of an open or a resolved incident.

    `message` stands there as it is, beside the name of the service; empty takes back
    what stood there. `is_public` False takes the incident off the page, whatever its
    alerts say. Raises UnableToTellPublic above 1,000 characters and when all of that
    is so already.
    """
    message = _plain(message)
    if len(message) > MAX_PUBLIC_MESSAGE:
        raise UnableToTellPublic(
            _("The message has %(length)d characters; %(limit)d fit. Shorten it.")
            % {"length": len(message), "limit": MAX_PUBLIC_MESSAGE}
        )
    with locked(incident_id) as incident:
        is_same = incident.public_message == message
        if is_same and incident.is_on_status_page == is_public:
            raise UnableToTellPublic(_("The status page says that already."))
        if not is_same:
            incident.public_message = message
            incident.public_message_at = now
        incident.is_public = is_public
        incident.is_publicity_pinned = True
        timeline.add(
            incident=incident,
            kind=Kind.PUBLISHED,
            now=now,
            actor=Actor(user),
            via=via,
            text=message,
            data={"is_public": is_public, "has_message": bool(message)},
        )
        incident.save()
        return incident


def _plain(text: str) -> str:
    """Return text without what no document may hold: controls but tab and new line."""
    return "".join(
        letter
        for letter in text.replace("\r\n", "\n")
        if letter in "\t\n" or unicodedata.category(letter) not in {"Cc", "Cs"}
    ).strip()


def snooze(
    *, incident_id: int, user: User, via: str, now: datetime, until: datetime
) -> Incident:
    """Keep an incident quiet until a moment, at most a week ahead.

    Then it pages again. One that somebody has acknowledged is triggered again at that
    moment, so that it can't be forgotten. Raises UnableToSnooze.
    """
    with locked(incident_id) as incident:
        refuse_resolved(incident, UnableToSnooze)
        if until <= now:
            raise UnableToSnooze(_("That time has passed. Choose a later one."))
        if until > now + MAX_SNOOZE:
            raise UnableToSnooze(
                _("%(days)d days is the longest. Choose an earlier time.")
                % {"days": MAX_SNOOZE.days}
            )
        incident.snoozed_until = until
        paging.withdraw(incident=incident, reason="snoozed", now=now)
        timeline.add(
            incident=incident,
            kind=Kind.SNOOZED,
            now=now,
            actor=Actor(user),
            via=via,
            data={"until": until.isoformat()},
        )
        return store(incident, now)


def change_priority(
    *, incident_id: int, user: User, via: str, now: datetime, priority: str
) -> Incident:
    """Give an incident a priority that alerts no longer change.

    A raise tells the channels that do not know yet. Raises UnableToChangePriority,
    and ValueError for an unknown priority.
    """
    wanted = Priority(priority)
    with locked(incident_id) as incident:
        refuse_resolved(incident, UnableToChangePriority)
        if incident.priority == wanted:
            raise UnableToChangePriority(
                _("It is %(priority)s already.") % {"priority": wanted.short}
            )
        incident.is_priority_pinned = True
        priorities.change(
            incident=incident,
            priority=wanted.value,
            now=now,
            actor=Actor(user),
            via=via,
        )
        return store(incident, now)
