"""The engine's tick: steps that are due, snoozes and acknowledgements that end, pages
that got lost, deadlines that pass."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Coalesce, Concat

from incidents import alarms, holding, paging, timeline
from incidents.desk import Desk
from incidents.messages import Reason
from incidents.mirroring import mirror_all
from incidents.models import Incident, IncidentEvent
from incidents.paging import Occasion
from incidents.reach import Worlds
from notifications.models import Notification
from t4g_portal.lib import bulk

logger = logging.getLogger(__name__)

# An incident that fails to advance waits this long, so that it can't hold up the rest.
_SET_ASIDE = timedelta(minutes=1)
# So many go on in one transaction, which holds up who wants to acknowledge one of them.
_TOGETHER = 50
# A call takes so many; the tick calls again while there are more, for this long.
_AT_ONCE = 100
_GO_ON = timedelta(seconds=4)

_Act = Callable[[Incident, datetime, Desk], None]


def advance_all(*, now: datetime) -> int:
    """Advance all that is due, a few at a time; return how many.

    What is left after some seconds waits for the next tick.
    """
    until = time.monotonic() + _GO_ON.total_seconds()
    total = 0
    while True:
        count = advance_due(now=now)
        total += count
        if count < _AT_ONCE or time.monotonic() > until:
            return total


def advance_due(*, now: datetime, limit: int = _AT_ONCE) -> int:
    """Advance up to `limit` open incidents whose time has come; return how many.

    State, timeline and outbox of each commit together or not at all. Any number of engines may run it at once. It also finds triggered incidents
    none of whose pages is delivered or under way, and pages through other channels;
    notes response deadlines that have passed; and lets the portal alert about steps
    that reach nobody.
    """
    try:
        _note_missed(now, limit)
    except Exception:
        # It is written down with the next tick; nobody's page waits for that.
        logger.exception("missed deadlines could not be recorded")
    worlds = Worlds(at=now)
    due = Incident.objects.open().filter(next_escalation_at__lte=now)
    count = _each(due.order_by("next_escalation_at"), _advance, worlds, limit)
    count += _each(_undelivered(now).order_by("pk"), _page_others, worlds, limit)
    alarms.raise_for_empty_steps(now=now)
    return count


def _each(incidents: QuerySet[Incident], act: _Act, worlds: Worlds, limit: int) -> int:
    """Do one act to each incident that is free and still fits the query.

    Several in one transaction; when that fails, each in its own, so that one can't hold
    up the others.
    """
    chosen = list(incidents.values_list("pk", flat=True)[:limit])
    return sum(
        _do_some(incidents, chosen[first : first + _TOGETHER], act, worlds)
        for first in range(0, len(chosen), _TOGETHER)
    )


def _do_some(
    incidents: QuerySet[Incident], chosen: list[int], act: _Act, worlds: Worlds
) -> int:
    try:
        return _do(incidents.filter(pk__in=chosen), act, worlds)
    except Exception:
        logger.warning("incidents go on one by one", exc_info=True)
    count = 0
    for pk in chosen:
        try:
            # Looked at anew: what was seen for all may be what is wrong.
            count += _do(incidents.filter(pk=pk), act, Worlds(at=worlds.at))
        except Exception:
            logger.exception("incident %s could not advance", pk)
            _set_aside(pk, worlds.at)
    return count


def _do(chosen: QuerySet[Incident], act: _Act, worlds: Worlds) -> int:
    now = worlds.at
    with transaction.atomic():
        incidents = list(
            chosen.select_related("service").select_for_update(
                of=("self",), skip_locked=True
            )
        )
        desk = Desk(at=now, incidents=incidents, worlds=worlds)
        for incident in incidents:
            act(incident, now, desk)
            paging.schedule(incident=incident, now=now)
        desk.clear()
        bulk.update_all(rows=incidents)
        mirror_all(incidents=incidents, now=now)
    return len(incidents)


def _set_aside(pk: int, now: datetime) -> None:
    Incident.objects.filter(pk=pk, next_escalation_at__lte=now).update(
        next_escalation_at=now + _SET_ASIDE
    )


def _advance(incident: Incident, now: datetime, desk: Desk) -> None:
    if incident.snoozed_until is not None:
        _wake(incident, now)
    elif incident.status == Incident.Status.TRIGGERED:
        paging.climb(incident=incident, now=now, desk=desk)
    elif incident.ack_expires_at is not None and incident.ack_expires_at <= now:
        _expire(incident, now)


def _wake(incident: Incident, now: datetime) -> None:
    was_acknowledged = incident.status == Incident.Status.ACKNOWLEDGED
    incident.snoozed_until = None
    if was_acknowledged:
        holding.take_back(incident=incident)
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.WOKEN,
        now=now,
        data={"cause": "due", "was_acknowledged": was_acknowledged},
    )
    paging.begin(incident=incident, occasion=Occasion(Reason.WOKEN), now=now)


def _expire(incident: Incident, now: datetime) -> None:
    holder = incident.holder
    holding.take_back(incident=incident)
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.ACK_EXPIRED,
        now=now,
        data={"holder": holder},
    )
    paging.begin(
        incident=incident, occasion=Occasion(Reason.EXPIRED, actor=holder), now=now
    )


def _undelivered(now: datetime) -> QuerySet[Incident]:
    """Triggered incidents whose pages all came to nothing."""
    pages = Notification.objects.filter(
        subject_key=Concat(
            Value("incident:"),
            Cast(OuterRef("pk"), CharField()),
            output_field=CharField(),
        ),
        purpose=paging.PAGE,
        status__in=paging.ALIVE,
        # What arrived before an acknowledgement that ended says nothing of today.
        queued_at__gte=Coalesce(OuterRef("escalation_began_at"), OuterRef("opened_at")),
    ).exclude(delivery_status="failed")
    return (
        Incident.objects.filter(
            status=Incident.Status.TRIGGERED, is_untold=False, paged_at__isnull=False
        )
        .filter(Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=now))
        .filter(Q(escalation_began_at=None) | Q(paged_at__gte=F("escalation_began_at")))
        .exclude(policy__is_digest=True)
        .exclude(Exists(pages))
    )


def _page_others(incident: Incident, now: datetime, desk: Desk) -> None:
    paging.page_others(incident=incident, now=now, desk=desk)


def _note_missed(now: datetime, limit: int) -> None:
    """Record once that nobody had acknowledged in time."""
    missed = Incident.objects.open().filter(
        first_acknowledged_at=None, response_missed_at=None, response_due_at__lte=now
    )
    with transaction.atomic():
        locked = missed.order_by("pk").select_for_update(skip_locked=True)
        incidents = list(locked[:limit])
        lines = [holding.miss(incident=incident, now=now) for incident in incidents]
        timeline.add_all(lines=lines)
        bulk.update_all(rows=incidents)
