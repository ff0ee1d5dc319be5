"""One act of one person, whichever way it came in; the answer is a sentence for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as _

from incidents import services
from incidents.messages import thread_key
from incidents.models import Incident
from notifications.models import Address, Contact, Notification

PERMISSION = "incidents.change_incident"


class Act(StrEnum):
    """What somebody may do without opening the portal."""

    ACKNOWLEDGE = "ack"
    ESCALATE = "escalate"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of it; `text` is in the active language."""

    is_done: bool
    text: str


def perform(
    *, act: Act, incident: Incident, contact: Contact, via: str, now: datetime
) -> Answer:
    """Act as a contact, in the name of their account where they have one."""
    problem = refusal(contact=contact, incident=incident)
    if problem:
        return Answer(is_done=False, text=problem)
    do, done = _ACTS[act]
    try:
        do(
            incident_id=incident.pk,
            user=contact.user,
            contact=contact,
            via=via,
            now=now,
        )
    except services.StillFiring:
        text = _("Alerts of it still fire. It resolves by itself when they end.")
        return Answer(is_done=False, text=text)
    except services.UnableToAct as error:
        return Answer(is_done=False, text=str(error))
    return Answer(is_done=True, text=done())


def sender(*, kind: str, value: str, incident: Incident | None) -> Contact | None:
    """Return whose verified address this is; None when nobody's, or nobody knows whose.

    Where several share it, it is the one who was paged there last about the incident.
    Two queries at most.
    """
    addresses = list(
        Address.objects.usable()
        .filter(kind=kind, value=value)
        .select_related("contact__user")
        .order_by("pk")
    )
    if len(addresses) > 1 and incident is not None:
        last = (
            _pages_about(incident)
            .filter(address__in=addresses)
            .order_by("-pk")
            .values_list("address_id", flat=True)
            .first()
        )
        addresses = [address for address in addresses if address.pk == last]
    return addresses[0].contact if len(addresses) == 1 else None


def refusal(*, contact: Contact, incident: Incident) -> str:
    """Say why somebody may not act; empty when they may. Two queries at most.

    Whoever was paged about it may, and whoever's account may. An account that was
    switched off may nothing.
    """
    user = contact.user
    if not contact.is_enabled or (user is not None and not user.is_active):
        return _("You are switched off in the portal. Ask an administrator.")
    if user is not None and user.has_perm(PERMISSION):
        return ""
    if _pages_about(incident).filter(address__contact=contact).exists():
        return ""
    return _("You may not act on this incident. Ask an administrator.")


def _pages_about(incident: Incident) -> QuerySet[Notification]:
    """Return what was sent about it, and about those that go on in it."""
    merged = Incident.objects.filter(merged_into=incident).values(
        key=Concat(Value("incident:"), Cast("pk", CharField()))
    )
    return Notification.objects.filter(
        Q(subject_key=thread_key(incident=incident)) | Q(subject_key__in=merged)
    )


def _acknowledged() -> str:
    return _("Acknowledged. Nobody is paged about it any more.")


def _escalated() -> str:
    return _("Escalated: the next step is paged now.")


def _resolved() -> str:
    return _("Resolved.")


_ACTS: dict[Act, tuple[Callable[..., object], Callable[[], str]]] = {
    Act.ACKNOWLEDGE: (services.acknowledge, _acknowledged),
    Act.ESCALATE: (services.escalate_now, _escalated),
    Act.RESOLVE: (services.resolve_incident, _resolved),
}
