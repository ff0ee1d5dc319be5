"""Action items: what somebody will change, by when."""

from __future__ import annotations

from datetime import date, datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from incidents import people, timeline
from incidents.acting import UnableToAct
from incidents.collaboration import owning
from incidents.models import ActionItem, Incident, IncidentEvent
from incidents.people import Actor
from t4g_portal.lib.zones import YEARS

MAX_TEXT = 300

Status = ActionItem.Status


class UnableToSaveItem(UnableToAct):
    """The text is empty or too long, or nothing would change."""


def add(
    *,
    incident_id: int,
    user: User,
    via: str,
    now: datetime,
    text: str,
    due_on: date,
    owner: Actor | None = None,
) -> ActionItem:
    """Note what will change; without `owner` it is the writer's.

    Raises UnableToSaveItem, and Incident.DoesNotExist.
    """
    actor = people.whole(Actor(user))
    text = _checked(text)
    _check_day(due_on)
    with transaction.atomic():
        incident = Incident.objects.get(pk=incident_id)
        item = ActionItem(
            incident=incident,
            text=text,
            due_on=due_on,
            created_at=now,
            created_by_name=actor.name,
        )
        owning.give(item, people.whole(owner) if owner else actor)
        item.save()
        _note(item, "added", actor, via, now)
    return item


def change(
    *,
    item_id: int,
    user: User,
    via: str,
    now: datetime,
    text: str | None = None,
    due_on: date | None = None,
    owner: Actor | None = None,
) -> ActionItem:
    """Change what is given. Raises UnableToSaveItem, and ActionItem.DoesNotExist."""
    with transaction.atomic():
        item = _locked(item_id)
        if text is not None:
            item.text = _checked(text)
        if due_on is not None and due_on != item.due_on:
            _check_day(due_on)
            item.due_on = due_on
            item.reminded_on = None
        if owner is not None:
            owner = people.whole(owner)
            if not item.is_of(owner):
                owning.give(item, owner)
        item.save()
        _note(item, "changed", Actor(user), via, now)
    return item


def set_status(
    *, item_id: int, user: User, via: str, now: datetime, status: str
) -> ActionItem:
    """Say that it is done, dropped, or open again. Twice is the same as once.

    Raises ValueError for an unknown status, and ActionItem.DoesNotExist.
    """
    wanted = Status(status)
    actor = Actor(user)
    with transaction.atomic():
        item = _locked(item_id)
        if item.status == wanted:
            return item
        is_open = wanted == Status.OPEN
        item.status = wanted
        item.ended_at = None if is_open else now
        item.ended_by_name = "" if is_open else actor.name
        item.reminded_on = None
        item.save()
        _note(item, wanted.value, actor, via, now)
    return item


def _locked(item_id: int) -> ActionItem:
    return (
        ActionItem.objects.select_related("incident")
        .select_for_update(of=("self",))
        .get(pk=item_id)
    )


def _checked(text: str) -> str:
    text = " ".join(text.replace("\x00", "").split())
    if not text:
        raise UnableToSaveItem(_("Write what will change."))
    if len(text) > MAX_TEXT:
        raise UnableToSaveItem(
            _("The text has %(length)d characters; %(limit)d fit. Shorten it.")
            % {"length": len(text), "limit": MAX_TEXT}
        )
    return text


def _check_day(day: date) -> None:
    if day.year not in YEARS:
        raise UnableToSaveItem(
            _("Choose a day between %(first)d and %(last)d.")
            % {"first": YEARS[0], "last": YEARS[-1]}
        )


def _note(item: ActionItem, act: str, actor: Actor, via: str, now: datetime) -> None:
    timeline.add(
        incident=item.incident,
        kind=IncidentEvent.Kind.ACTION_ITEM,
        now=now,
        actor=actor,
        via=via,
        data={"act": act, "item": item.text, "item_id": item.pk},
    )
