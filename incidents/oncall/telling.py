"""Letters about the calendar to the people in it, by the way they read most quietly."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone, translation

from notifications import services as outbox
from notifications.message import Message
from notifications.models import Address, Contact, Notification
from notifications.routing import routes_for
from t4g_portal.lib.priority import Priority

PURPOSE = "on_call"


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to one contact. `write` runs in the contact's language and zone."""

    contact_id: int
    # Printable ASCII; the same key is sent once.
    key: str
    write: Callable[[], Message]
    time_zone: str = ""


def send(*, letters: Collection[Letter], subject_key: str, now: datetime) -> int:
    """Put letters into the outbox, each once; return how many are new.

    Whom nothing reaches gets none: a calendar on a page is enough of a notice.
    """
    known = set(
        Notification.objects.filter(
            idempotency_key__in=[letter.key for letter in letters]
        ).values_list("idempotency_key", flat=True)
    )
    fresh = [letter for letter in letters if letter.key not in known]
    if not fresh:
        return 0
    routes = routes_for(
        contacts={letter.contact_id for letter in fresh}, priority=Priority.P2
    )
    addresses = Address.objects.select_related("contact").in_bulk(
        [found[0].address_id for found in routes.values() if found]
    )
    count = 0
    for letter in fresh:
        if not routes[letter.contact_id]:
            continue
        route = routes[letter.contact_id][0]
        address = addresses[route.address_id]
        try:
            outbox.enqueue(
                address=address,
                message=_written(letter, address.contact),
                purpose=PURPOSE,
                subject_key=subject_key,
                idempotency_key=letter.key,
                now=now,
                method=route.method,
            )
        except outbox.UnableToEnqueue:
            continue
        count += 1
    return count


def _written(letter: Letter, contact: Contact) -> Message:
    zone = ZoneInfo(contact.time_zone or letter.time_zone or settings.TIME_ZONE)
    language = contact.language or settings.PORTAL_LANGUAGE
    with translation.override(language), timezone.override(zone):
        return letter.write()
