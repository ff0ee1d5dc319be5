"""Messages from one person to another about an incident. No pages: those are paging's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from incidents.models import Incident
from notifications import routing
from notifications import services as outbox
from notifications.message import Message
from notifications.models import Address, Channel, Contact, Notification
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold

# Purposes of outbox rows.
HANDOVER = "handover"
ROLE = "role"
MERGED = "merged"
REMINDER = "reminder"

# As urgent as what is no page, whatever it is about.
QUIET = Priority.P2.value

Write = Callable[[Address | None], Message]


def tell_contact(
    *,
    contact: Contact | None,
    write: Write,
    purpose: str,
    subject_key: str,
    key: str,
    now: datetime,
    priority: str = QUIET,
    is_every_way: bool = False,
) -> bool:
    """Write a message to a person into the outbox; return whether a way leads there.

    `write` is called in the person's language and zone, with the address it goes to.
    `key` names the message: a second one with the same key writes nothing. It goes the
    first way of the person's rules for `priority`; or every way, each after
    its delay, where one that fails makes the next due at once.
    """
    if contact is None:
        return False
    ways = _ways(contact, priority)
    for address, method, delay in ways if is_every_way else ways[:1]:
        with _reading(language=contact.language, zone=contact.time_zone):
            message = write(address)
        outbox.enqueue(
            address=address,
            method=method,
            message=message,
            purpose=purpose,
            subject_key=subject_key,
            idempotency_key=f"{key}:{purpose}:{method}:{address.pk}",
            route_key=f"{key}:{purpose}:contact:{contact.pk}",
            now=now,
            not_before=now + delay,
            lane=Notification.Lane.PAGING if is_every_way else Notification.Lane.NORMAL,
        )
    return bool(ways)


def tell_channel(
    *, channel: Channel, write: Write, purpose: str, subject_key: str, now: datetime
) -> None:
    """Write a message to a shared destination into the outbox, in its language."""
    with _reading(language=channel.language, zone=""):
        message = write(None)
    outbox.enqueue(
        channel=channel,
        message=message,
        purpose=purpose,
        subject_key=subject_key,
        idempotency_key=f"{subject_key}:{purpose}:channel:{channel.pk}",
        now=now,
    )


def page_of(incident: Incident) -> str:
    """Return the full address of the incident's page."""
    return f"{settings.PORTAL_URL}{reverse('incidents:detail', args=[incident.pk])}"


def name_of(incident: Incident) -> str:
    """Say which incident: "P0 Backend: API is down", in the active language."""
    return _("%(priority)s %(service)s: %(title)s") % {
        "priority": Priority(incident.priority).short,
        "service": incident.service.name,
        "title": retold(incident.title),
    }


def mark_of(incident: Incident) -> str:
    """Return what every message about a rehearsal begins with; empty for real ones."""
    return _("DRILL") if incident.is_drill else ""


def _ways(contact: Contact, priority: str) -> list[tuple[Address, str, timedelta]]:
    """Return the addresses, methods and delays of a person, the soonest first."""
    routes = routing.routes_for(contacts=[contact.pk], priority=priority)[contact.pk]
    addresses = Address.objects.select_related("contact").in_bulk(
        [route.address_id for route in routes]
    )
    return [
        (addresses[route.address_id], route.method, timedelta(seconds=route.delay_s))
        for route in routes
    ]


@contextmanager
def _reading(*, language: str, zone: str) -> Iterator[None]:
    """Speak as one reader reads; a zone that is misspelt must not stop a message."""
    try:
        own = ZoneInfo(zone) if zone else timezone.get_default_timezone()
    except (ZoneInfoNotFoundError, ValueError):
        own = timezone.get_default_timezone()
    spoken = language or settings.PORTAL_LANGUAGE
    with translation.override(spoken), timezone.override(own):
        yield
