"""What every act on an incident begins and ends with: lock, check, store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from incidents import paging
from incidents.mirroring import mirror
from incidents.models import Incident
from incidents.people import Actor


class UnableToAct(Exception):
    """The incident's state does not allow it; the text says why and what to do."""


@contextmanager
def locked(incident_id: int) -> Iterator[Incident]:
    """Hold the incident's row until the act has been committed."""
    with transaction.atomic():
        yield (
            Incident.objects.select_related("service", "acknowledged_by")
            .select_for_update(of=("self",))
            .get(pk=incident_id)
        )


def store(incident: Incident, now: datetime) -> Incident:
    """Set when the engine looks next, and save."""
    paging.schedule(incident=incident, now=now)
    incident.save()
    mirror(incident=incident, now=now)
    return incident


def refuse_resolved(incident: Incident, error: type[UnableToAct]) -> None:
    """Raise `error` for an incident that is over."""
    if incident.status == Incident.Status.RESOLVED:
        raise error(_("It is already resolved."))


def has(incident: Incident, actor: Actor) -> bool:
    """Whether somebody is the one who has it; an account and its contact are one."""
    if actor.user is not None and incident.acknowledged_by_id is not None:
        return incident.acknowledged_by_id == actor.user.pk
    holder = incident.acknowledged_by_contact_id
    return actor.contact is not None and holder == actor.contact.pk
