"""Who does what in an incident: commander, communications, scribe."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from incidents import people, timeline
from incidents.acting import UnableToAct, locked
from incidents.collaboration import telling
from incidents.messages import thread_key
from incidents.models import Incident, IncidentEvent, IncidentRole
from incidents.people import Actor
from notifications.message import Message
from notifications.models import Address, Contact

Role = IncidentRole.Role


class UnableToGiveRole(UnableToAct):
    """Nothing would change."""


def give_role(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    role: str,
    to: Actor | None,
    contact: Contact | None = None,
) -> IncidentRole | None:
    """Give a role to somebody, or to nobody; also after the end, for the record.

    Whoever gets it from somebody else is told. Raises UnableToGiveRole when it is so
    already, and ValueError for an unknown role.
    """
    wanted = Role(role)
    actor = people.whole(Actor(user, contact))
    with locked(incident_id) as incident:
        row = incident.roles.filter(role=wanted).first()
        if to is None:
            if row is None:
                raise UnableToGiveRole(
                    _("Nobody is %(role)s.") % {"role": wanted.label.lower()}
                )
            row.delete()
            _note(incident, wanted, "", row.name, actor, via, now)
            return None
        to = people.whole(to)
        if row is not None and row.is_of(to):
            raise UnableToGiveRole(
                _("%(name)s is %(role)s already.")
                % {"name": to.name, "role": wanted.label.lower()}
            )
        old = row.name if row is not None else ""
        given, _made = IncidentRole.objects.update_or_create(
            incident=incident,
            role=wanted,
            defaults={
                "user": to.user,
                "contact": to.contact,
                "name": to.name,
                "given_at": now,
            },
        )
        event = _note(incident, wanted, to.name, old, actor, via, now)
        if to.contact is not None and to.contact != actor.contact:
            _tell(incident, wanted, to.contact, actor, event, now)
        return given


def _note(
    incident: Incident,
    role: Role,
    name: str,
    old: str,
    actor: Actor,
    via: str,
    now: datetime,
) -> IncidentEvent:
    return timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.ROLE_CHANGED,
        now=now,
        actor=actor,
        via=via,
        data={"role": role.value, "name": name, "old": old},
    )


def _tell(
    incident: Incident,
    role: Role,
    contact: Contact,
    actor: Actor,
    event: IncidentEvent,
    now: datetime,
) -> None:
    def write(_address: Address | None) -> Message:
        return Message(
            title=_("You are %(role)s: %(incident)s")
            % {"role": role.label.lower(), "incident": telling.name_of(incident)},
            text=_("%(name)s gave you the role.") % {"name": actor.name},
            tone="calm",
            priority=incident.priority,
            url=telling.page_of(incident),
            url_label=_("Open the incident"),
            incident_id=incident.pk,
            mark=telling.mark_of(incident),
        )

    telling.tell_contact(
        contact=contact,
        write=write,
        purpose=telling.ROLE,
        subject_key=thread_key(incident=incident),
        key=f"incident:{incident.pk}:role:{event.pk}",
        now=now,
    )
