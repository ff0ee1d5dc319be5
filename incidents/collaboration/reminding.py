"""Reminders of postmortems and action items: one message a person and day.

The working day before it is due, the day itself, and every seventh day after that.
What has no owner, or one whom nothing reaches, is said in the channels that heard of
the incident.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents.collaboration import telling
from incidents.messages import thread_key
from incidents.models import ActionItem, Incident, Postmortem
from incidents.paging import PAGE
from notifications import services as outbox
from notifications.message import Fact, Message
from notifications.models import Channel, Contact
from t4g_portal.lib.working_time import add_working_days, is_working_day

logger = logging.getLogger(__name__)

# Nobody reads it earlier.
FROM = time(9)
AGAIN = timedelta(days=7)
# Longer than any stretch of days off, so that no row is passed over.
_HORIZON = timedelta(days=10)
_MAX_LISTED = 20

_Thing = Postmortem | ActionItem


@dataclass(frozen=True, slots=True)
class _Letter:
    """What one person, or one incident's channels, shall be reminded of."""

    contact: Contact | None
    things: tuple[_Thing, ...]


def is_time(*, due_on: date, reminded_on: date | None, today: date) -> bool:
    """Whether a reminder is due today, which is a working day. Pure."""
    marks = [add_working_days(due_on, -1), due_on]
    while marks[-1] + AGAIN <= today:
        marks.append(marks[-1] + AGAIN)
    passed = [mark for mark in marks if mark <= today]
    if not passed:
        return False
    return reminded_on is None or reminded_on < passed[-1]


def remind_due(*, now: datetime) -> int:
    """Write the reminders of today into the outbox; return how many things they name.

    Each person's is its own transaction. It may run as often as anybody likes, and in
    several processes.
    """
    local = timezone.localtime(now, timezone.get_default_timezone())
    today = local.date()
    if local.time() < FROM or not is_working_day(today):
        return 0
    count = 0
    for contact_id in _owners(today):
        try:
            with transaction.atomic():
                count += _remind(_due(today, contact_id), today, now)
        except Exception:
            # One person's keep nobody from theirs; the next tick tries them again.
            logger.exception("contact %s could not be reminded", contact_id)
    return count


def _owners(today: date) -> list[int | None]:
    """Return the contacts that own something due, None for nobody's things."""
    found: set[int | None] = set()
    for rows in _candidates(today):
        found |= set(rows.values_list("owner_contact_id", flat=True))
    return sorted(found, key=lambda pk: (pk is None, pk or 0))


def _candidates(today: date) -> tuple[QuerySet[Postmortem], QuerySet[ActionItem]]:
    may_be_due = Q(due_on__lte=today + _HORIZON) & (
        Q(reminded_on__isnull=True) | Q(reminded_on__lt=today)
    )
    return (
        Postmortem.objects.filter(may_be_due, status=Postmortem.Status.DRAFT),
        ActionItem.objects.filter(may_be_due, status=ActionItem.Status.OPEN),
    )


def _due(today: date, contact_id: int | None) -> list[_Thing]:
    """Lock what its owner shall be reminded of today, the earliest first."""
    found: list[_Thing] = []
    for rows in _candidates(today):
        locked = (
            rows.filter(owner_contact=contact_id)
            .select_related("incident__service", "owner_contact")
            .select_for_update(of=("self",), skip_locked=True)
            .order_by("due_on", "pk")
        )
        found += [
            row
            for row in locked
            if row.due_on is not None
            and is_time(due_on=row.due_on, reminded_on=row.reminded_on, today=today)
        ]
    return found


def _remind(things: list[_Thing], today: date, now: datetime) -> int:
    if not things:
        return 0
    owner = things[0].owner_contact
    is_told = telling.tell_contact(
        contact=owner,
        write=lambda _address: _message(things, today),
        purpose=telling.REMINDER,
        subject_key=_subject(things, today),
        key=_subject(things, today),
        now=now,
    )
    if not is_told:
        _tell_channels(things, today, now)
    for thing in things:
        thing.reminded_on = today
        thing.save(update_fields=["reminded_on"])
    return len(things)


def _tell_channels(things: list[_Thing], today: date, now: datetime) -> None:
    by_incident: dict[Incident, list[_Thing]] = defaultdict(list)
    for thing in things:
        by_incident[thing.incident].append(thing)
    for incident, its in by_incident.items():
        for channel in _channels(incident):
            telling.tell_channel(
                channel=channel,
                write=lambda _address, its=its: _message(its, today),  # type: ignore[misc]
                purpose=telling.REMINDER,
                subject_key=_subject(its, today),
                now=now,
            )


def _channels(incident: Incident) -> list[Channel]:
    told = outbox.told_destinations(
        subject_key=thread_key(incident=incident), purposes=[PAGE]
    )
    return [channel for channel, _address in told if channel is not None]


def _subject(things: Sequence[_Thing], today: date) -> str:
    """Name one reminder: who comes second with the same things collides."""
    named = ",".join(f"{type(thing).__name__}{thing.pk}" for thing in things)
    mark = hashlib.blake2b(named.encode(), digest_size=8).hexdigest()
    return f"reminder:{today}:{mark}"


def _message(things: Sequence[_Thing], today: date) -> Message:
    late = sum(
        1 for thing in things if thing.due_on is not None and thing.due_on < today
    )
    title = ngettext(
        "%(count)d thing is due after an incident",
        "%(count)d things are due after incidents",
        len(things),
    ) % {"count": len(things)}
    if len(things) == 1:
        title = _line(things[0])
    return Message(
        title=title,
        text=_("Overdue for a while: put a new date, or let it go.") if late else "",
        tone="warning" if late else "calm",
        facts=tuple(
            Fact(_due_words(thing, today), f"{_line(thing)}\n{_address_of(thing)}")
            for thing in things[:_MAX_LISTED]
        ),
        url=f"{settings.PORTAL_URL}{reverse('incidents:followup')}",
        url_label=_("Open the list"),
    )


def _line(thing: _Thing) -> str:
    if isinstance(thing, Postmortem):
        line = _("Postmortem of %(incident)s") % {
            "incident": telling.name_of(thing.incident)
        }
    else:
        line = thing.text
    if thing.owner_contact is None and not thing.owner_name:
        return _("%(line)s (nobody has it)") % {"line": line}
    return line


def _due_words(thing: _Thing, today: date) -> str:
    day = date_format(thing.due_on) if thing.due_on else ""
    if thing.due_on == today:
        return _("Due today")
    if thing.due_on is not None and thing.due_on < today:
        return _("Was due on %(day)s") % {"day": day}
    return _("Due on %(day)s") % {"day": day}


def _address_of(thing: _Thing) -> str:
    if isinstance(thing, Postmortem):
        path = reverse("incidents:postmortem", args=[thing.incident_id])
        return f"{settings.PORTAL_URL}{path}"
    return telling.page_of(thing.incident)
