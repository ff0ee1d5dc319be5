"""The engine's tick: steps that are due, snoozes and acknowledgements that end, pages
that got lost, deadlines that pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from incidents import alarms, escalation, holding, paging, timeline
from incidents.escalation.policy import Policy
from incidents.messages import Reason
from incidents.mirroring import mirror
from incidents.models import Incident, IncidentEvent
from incidents.paging import Occasion
from incidents.reach import Worlds
from notifications.models import Notification

logger = logging.getLogger(__name__)

# An incident that fails to advance waits this long, so that it can't hold up the rest.
_SET_ASIDE = timedelta(minutes=1)

_Act = Callable[[Incident, datetime, Worlds], None]


def advance_due(*, now: datetime, limit: int = 100) -> int:
    """Advance up to `limit` open incidents whose time has come; return how many.

    Each is its own transaction: state, timeline and outbox commit together or not at
    all. Any number of engines may run it at once. It also finds triggered incidents
    none of whose pages is delivered or under way, and pages through other channels;
    notes response deadlines that have passed; and lets the portal alert about steps
    that reach nobody.
    """
    _note_missed(now, limit)
    due = Incident.objects.open().filter(next_escalation_at__lte=now)
    count = _each(due.order_by("next_escalation_at"), _advance, now, limit)
    count += _each(_undelivered(now).order_by("pk"), _page_others, now, limit)
    alarms.raise_for_empty_steps(now=now)
    return count


def _each(incidents: QuerySet[Incident], act: _Act, now: datetime, limit: int) -> int:
    """Do one act to each incident that is free and still fits the query."""
    chosen = list(incidents.values_list("pk", "policy")[:limit])
    if not chosen:
        return 0
    worlds = Worlds(at=now, policies=_readable(policy for _pk, policy in chosen))
    count = 0
    for pk, _policy in chosen:
        try:
            with transaction.atomic():
                incident = (
                    incidents.filter(pk=pk)
                    .select_related("service")
                    .select_for_update(of=("self",), skip_locked=True)
                    .first()
                )
                if incident is None:
                    continue
                act(incident, now, worlds)
                paging.schedule(incident=incident, now=now)
                incident.save()
                mirror(incident=incident, now=now)
                count += 1
        except Exception:
            logger.exception("incident %s could not advance", pk)
            _set_aside(pk, now)
    return count


def _readable(stored: Iterable[object]) -> list[Policy]:
    """Read the policies that are any; the others fail where only they are held up."""
    policies = []
    for each in stored:
        try:
            policies.append(escalation.read(each))  # type: ignore[arg-type]
        except (KeyError, TypeError):
            continue
    return policies


def _set_aside(pk: int, now: datetime) -> None:
    Incident.objects.filter(pk=pk, next_escalation_at__lte=now).update(
        next_escalation_at=now + _SET_ASIDE
    )


def _advance(incident: Incident, now: datetime, worlds: Worlds) -> None:
    if incident.snoozed_until is not None:
        _wake(incident, now)
    elif incident.status == Incident.Status.TRIGGERED:
        paging.climb(incident=incident, now=now, worlds=worlds)
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
    )
    return (
        Incident.objects.filter(
            status=Incident.Status.TRIGGERED, is_untold=False, paged_at__isnull=False
        )
        .filter(Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=now))
        .exclude(policy__is_digest=True)
        .exclude(Exists(pages))
    )


def _page_others(incident: Incident, now: datetime, worlds: Worlds) -> None:
    paging.page_others(incident=incident, now=now, worlds=worlds)


def _note_missed(now: datetime, limit: int) -> None:
    """Record once that nobody had acknowledged in time."""
    missed = Incident.objects.open().filter(
        first_acknowledged_at=None, response_missed_at=None, response_due_at__lte=now
    )
    for pk in list(missed.order_by("pk").values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            incident = missed.filter(pk=pk).select_for_update(skip_locked=True).first()
            if incident is None:
                continue
            timeline.add(
                incident=incident,
                kind=IncidentEvent.Kind.RESPONSE_MISSED,
                now=now,
                data={"due_at": incident.response_due_at.isoformat()},
            )
            incident.response_missed_at = incident.response_due_at
            incident.save(update_fields=["response_missed_at"])
