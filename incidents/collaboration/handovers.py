"""Handing an incident over: one asks, the other decides. Nobody's is ever taken away.

Whoever has an incident asks somebody to take it; whoever wants it asks the one who has
it. As long as nobody has it, anybody may ask anybody, and paging goes on meanwhile. Who
is asked may answer by any way that acknowledges: to acknowledge is to accept.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from incidents import holding, paging, people, timeline
from incidents.acting import UnableToAct, has, locked, refuse_resolved, store
from incidents.collaboration import telling
from incidents.inbound import links
from incidents.messages import thread_key
from incidents.models import Handover, Incident, IncidentEvent
from incidents.people import Actor
from notifications import services as outbox
from notifications.message import Message
from notifications.models import Address, Contact
from t4g_portal.lib.wording import clock

MAX_COMMENT = 300

Kind = IncidentEvent.Kind
Status = Handover.Status


class UnableToHandOver(UnableToAct):
    """There is nobody to ask, or nothing to answer."""


def ask(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    contact: Contact | None = None,
    to: Actor | None = None,
    comment: str = "",
) -> Handover:
    """Ask `to` to take the incident over; without `to`, ask its holder to hand it over.

    Asking somebody else withdraws the earlier question. Raises UnableToHandOver when
    the incident is over, when it is not the asker's to offer, when the one asked has it
    already or was asked already, and for a comment above 300 characters.
    """
    comment = " ".join(comment.replace("\x00", "").split())
    if len(comment) > MAX_COMMENT:
        raise UnableToHandOver(
            _("The comment has %(length)d characters; %(limit)d fit. Shorten it.")
            % {"length": len(comment), "limit": MAX_COMMENT}
        )
    asker = people.whole(Actor(user, contact))
    with locked(incident_id) as incident:
        refuse_resolved(incident, UnableToHandOver)
        asked = _offered_to(incident, asker, to) if to else _holder(incident, asker)
        _replace(incident, asker, asked, via, now)
        handover = Handover.objects.create(
            incident=incident,
            direction=Handover.Direction.OFFER if to else Handover.Direction.REQUEST,
            asker_user=asker.user,
            asker_contact=asker.contact,
            asker_name=asker.name,
            asked_user=asked.user,
            asked_contact=asked.contact,
            asked_name=asked.name,
            comment=comment,
            asked_at=now,
        )
        _note(handover, Kind.HANDOVER_ASKED, asker, via, now, text=comment)
        telling.tell_contact(
            contact=asked.contact,
            write=lambda address: _question(incident, handover, now, address),
            purpose=telling.HANDOVER,
            subject_key=thread_key(incident=incident),
            key=_key(handover),
            now=now,
            priority=incident.priority,
            is_every_way=True,
        )
        return handover


def accept(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    contact: Contact | None = None,
) -> Incident:
    """Take over, or hand over, what one was asked to. Twice is the same as once.

    Raises UnableToHandOver when nobody asks, somebody else was asked, the incident is
    over, or somebody has it now to whom the question was not put.
    """
    actor = people.whole(Actor(user, contact))
    with locked(incident_id) as incident:
        refuse_resolved(incident, UnableToHandOver)
        handover = _open(incident)
        if handover is None:
            if _has_accepted(incident, actor):
                return incident
            raise UnableToHandOver(_("Nobody asks any more."))
        if not handover.asks(actor):
            raise UnableToHandOver(
                _("%(name)s was asked, not you.") % {"name": handover.asked_name}
            )
        _refuse_stale(incident, handover)
        _hand_over(incident, handover, actor, via, now)
        return store(incident, now)


def decline(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    contact: Contact | None = None,
) -> Handover:
    """Say no to what one was asked; the asker hears of it. Raises UnableToHandOver."""
    actor = people.whole(Actor(user, contact))
    with locked(incident_id) as incident:
        handover = _open(incident)
        if handover is None:
            raise UnableToHandOver(_("Nobody asks any more."))
        if not handover.asks(actor):
            raise UnableToHandOver(
                _("%(name)s was asked, not you.") % {"name": handover.asked_name}
            )
        _end(handover, Status.DECLINED, now)
        _note(handover, Kind.HANDOVER_ENDED, actor, via, now)
        _tell_asker(incident, handover, now)
        return handover


def withdraw(
    *,
    incident_id: int,
    user: User | None,
    via: str,
    now: datetime,
    contact: Contact | None = None,
) -> Handover:
    """Take a question back that one has asked. Raises UnableToHandOver."""
    actor = people.whole(Actor(user, contact))
    with locked(incident_id) as incident:
        handover = _open(incident)
        if handover is None:
            raise UnableToHandOver(_("Nobody asks any more."))
        if not handover.is_of(actor):
            raise UnableToHandOver(
                _("%(name)s has asked, not you.") % {"name": handover.asker_name}
            )
        _withdraw(handover, actor, via, now)
        return handover


def accept_by_acknowledging(
    *, incident: Incident, actor: Actor, via: str, now: datetime
) -> bool:
    """Whether a locked, open incident goes to `actor`, who was asked to take it.

    For `services.acknowledge`: by SMS, link or Slack button that is how one says yes.
    """
    handover = _open(incident)
    actor = people.whole(actor)
    if handover is None or not handover.is_offer or not handover.asks(actor):
        return False
    if not _is_askers(incident, handover):
        return False
    _hand_over(incident, handover, actor, via, now)
    return True


def is_offered(*, incident: Incident, to: Actor) -> bool:
    """Whether somebody else has it and asks this person to take it; one query."""
    handover = _open(incident)
    return (
        handover is not None
        and handover.is_offer
        and handover.asks(people.whole(to))
        and _is_askers(incident, handover)
    )


def settle(*, incident: Incident, actor: Actor, now: datetime) -> None:
    """Close the open question of a locked incident that `actor` takes from nobody."""
    handover = _open(incident)
    if handover is None:
        return
    is_yes = handover.is_offer and handover.asks(people.whole(actor))
    _end(handover, Status.ACCEPTED if is_yes else Status.ENDED, now)
    if is_yes:
        _tell_asker(incident, handover, now)


def end(*, incident: Incident, now: datetime) -> None:
    """Let the open question of a locked incident end: nobody needs to answer it."""
    handover = _open(incident)
    if handover is not None:
        _end(handover, Status.ENDED, now)


def _offered_to(incident: Incident, asker: Actor, to: Actor) -> Actor:
    to = people.whole(to)
    if incident.holder and not has(incident, asker):
        raise UnableToHandOver(
            _("%(name)s has it. Ask %(name)s to hand it over to you first.")
            % {"name": incident.holder}
        )
    if has(incident, to):
        raise UnableToHandOver(_("%(name)s has it already.") % {"name": to.name})
    if people.is_same(asker, user_id=_id(to.user), contact_id=_id(to.contact)):
        raise UnableToHandOver(_("To take it yourself, acknowledge it."))
    return to


def _holder(incident: Incident, asker: Actor) -> Actor:
    if not incident.holder:
        raise UnableToHandOver(_("Nobody has it. Acknowledge it to take it."))
    if has(incident, asker):
        raise UnableToHandOver(_("You have it already."))
    user, contact = incident.acknowledged_by, incident.acknowledged_by_contact
    if user is None and contact is None:
        raise UnableToHandOver(
            _("%(name)s is not here any more. Take the acknowledgement back instead.")
            % {"name": incident.holder}
        )
    return people.whole(Actor(user, contact))


def _replace(
    incident: Incident, asker: Actor, asked: Actor, via: str, now: datetime
) -> None:
    """Withdraw the open question before another; refuse the same one again."""
    handover = _open(incident)
    if handover is None:
        return
    if handover.asks(asked) and handover.is_of(asker):
        raise UnableToHandOver(
            _("%(name)s was asked at %(time)s already.")
            % {"name": asked.name, "time": clock(handover.asked_at, now=now)}
        )
    _withdraw(handover, asker, via, now)


def _refuse_stale(incident: Incident, handover: Handover) -> None:
    """Refuse to take what meanwhile somebody has whom nobody asked."""
    if not _is_askers(incident, handover):
        raise UnableToHandOver(_("%(name)s has it now.") % {"name": incident.holder})


def _is_askers(incident: Incident, handover: Handover) -> bool:
    """Whether what is asked is still the two's own business."""
    if not incident.holder:
        return True
    giver_user, giver_contact = (
        (handover.asker_user_id, handover.asker_contact_id)
        if handover.is_offer
        else (handover.asked_user_id, handover.asked_contact_id)
    )
    user_id, contact_id = (
        incident.acknowledged_by_id,
        incident.acknowledged_by_contact_id,
    )
    return (user_id is not None and user_id == giver_user) or (
        contact_id is not None and contact_id == giver_contact
    )


def _hand_over(
    incident: Incident, handover: Handover, actor: Actor, via: str, now: datetime
) -> None:
    giver = incident.holder
    taker = (
        (handover.asked_user, handover.asked_contact, handover.asked_name)
        if handover.is_offer
        else (handover.asker_user, handover.asker_contact, handover.asker_name)
    )
    if incident.status == Incident.Status.TRIGGERED:
        incident.snoozed_until = None
        paging.withdraw(incident=incident, reason="acknowledged", now=now)
    incident.status = Incident.Status.ACKNOWLEDGED
    # From here on the one who has it now has it: an expiry counts anew.
    incident.acknowledged_at = now
    incident.first_acknowledged_at = incident.first_acknowledged_at or now
    (
        incident.acknowledged_by,
        incident.acknowledged_by_contact,
        incident.acknowledged_by_name,
    ) = taker
    incident.is_untold = False
    holding.vouch(incident=incident, now=now)
    _end(handover, Status.ACCEPTED, now)
    timeline.add(
        incident=incident,
        kind=Kind.HANDED_OVER,
        now=now,
        actor=actor,
        via=via,
        data={"from": giver, "to": taker[2]},
    )
    _tell_asker(incident, handover, now)


def _has_accepted(incident: Incident, actor: Actor) -> bool:
    last = incident.handovers.order_by("-pk").first()
    return last is not None and last.status == Status.ACCEPTED and last.asks(actor)


def _withdraw(handover: Handover, actor: Actor, via: str, now: datetime) -> None:
    _end(handover, Status.WITHDRAWN, now)
    _note(handover, Kind.HANDOVER_ENDED, actor, via, now)


def _end(handover: Handover, status: Handover.Status, now: datetime) -> None:
    handover.status = status
    handover.answered_at = now
    handover.save(update_fields=["status", "answered_at"])
    outbox.cancel(
        subject_key=thread_key(incident=handover.incident),
        reason=status.value,
        now=now,
        purposes=[telling.HANDOVER],
    )


def _open(incident: Incident) -> Handover | None:
    """Return the question that waits for an answer; the incident's lock guards it."""
    handover = (
        incident.handovers.filter(status=Status.ASKED)
        .select_related("asker_user", "asker_contact", "asked_user", "asked_contact")
        .first()
    )
    if handover is not None:
        handover.incident = incident
    return handover


def _note(
    handover: Handover,
    kind: Kind,
    actor: Actor,
    via: str,
    now: datetime,
    text: str = "",
) -> None:
    timeline.add(
        incident=handover.incident,
        kind=kind,
        now=now,
        actor=actor,
        via=via,
        text=text,
        data={
            "direction": handover.direction,
            "status": handover.status,
            "asker": handover.asker_name,
            "asked": handover.asked_name,
        },
    )


def _question(
    incident: Incident, handover: Handover, now: datetime, address: Address | None
) -> Message:
    words = {"name": handover.asker_name, "incident": telling.name_of(incident)}
    title = (
        _("%(name)s asks you to take over: %(incident)s")
        if handover.is_offer
        else _("%(name)s wants to take over: %(incident)s")
    )
    return Message(
        title=title % words,
        text=handover.comment,
        tone="warning",
        priority=incident.priority,
        url=telling.page_of(incident),
        url_label=_("Open the incident"),
        # To acknowledge is to take it; handing over needs somebody signed in.
        ack_url=links.ack_url(incident=incident, address=address)
        if address is not None and handover.is_offer
        else "",
        short=title % words,
        spoken=title % words,
        incident_id=incident.pk,
        mark=telling.mark_of(incident),
    )


def _tell_asker(incident: Incident, handover: Handover, now: datetime) -> None:
    """Tell the asker what the answer is, by the person's quietest way."""

    def write(_address: Address | None) -> Message:
        words = {"name": handover.asked_name, "incident": telling.name_of(incident)}
        is_yes = handover.status == Status.ACCEPTED
        if handover.is_offer:
            title = (
                _("%(name)s has taken over: %(incident)s")
                if is_yes
                else _("%(name)s does not take over: %(incident)s")
            )
        else:
            title = (
                _("%(name)s has handed over to you: %(incident)s")
                if is_yes
                else _("%(name)s does not hand over: %(incident)s")
            )
        return Message(
            title=title % words,
            tone="calm" if is_yes else "warning",
            priority=incident.priority,
            url=telling.page_of(incident),
            url_label=_("Open the incident"),
            incident_id=incident.pk,
            mark=telling.mark_of(incident),
        )

    telling.tell_contact(
        contact=handover.asker_contact,
        write=write,
        purpose=f"{telling.HANDOVER}-answer",
        subject_key=thread_key(incident=incident),
        key=_key(handover),
        now=now,
    )


def _key(handover: Handover) -> str:
    return f"handover:{handover.pk}"


def _id(row: User | Contact | None) -> int | None:
    return row.pk if row is not None else None
