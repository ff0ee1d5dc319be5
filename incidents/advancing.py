"""The engine's tick: pages that are due again, snoozes that end, pages that got lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from incidents import lifecycle, paging, timeline
from incidents.messages import Reason
from incidents.models import Incident, IncidentEvent
from notifications.models import Notification

logger = logging.getLogger(__name__)

# An incident that fails to advance waits this long, so that it can't hold up the rest.
_SET_ASIDE = timedelta(minutes=1)


def advance_due(*, now: datetime, limit: int = 100) -> int:
    """Advance up to `limit` open incidents whose time has come; return how many.

    Each is its own transaction: state, timeline and outbox commit together or not at
    all. Any number of engines may run it at once. It also finds triggered incidents
    none of whose pages is delivered or under way, and pages through other channels.
    """
    due = Incident.objects.open().filter(next_escalation_at__lte=now)
    count = _each(due.order_by("next_escalation_at"), _advance, now, limit)
    return count + _each(_undelivered(now).order_by("pk"), _page_others, now, limit)


def _each(
    incidents: QuerySet[Incident],
    act: Callable[[Incident, datetime], None],
    now: datetime,
    limit: int,
) -> int:
    """Do one act to each incident that is free and still fits the query."""
    count = 0
    for pk in list(incidents.values_list("pk", flat=True)[:limit]):
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
                act(incident, now)
                paging.schedule(incident=incident, now=now)
                incident.save()
                count += 1
        except Exception:
            logger.exception("incident %s could not advance", pk)
            _set_aside(pk, now)
    return count


def _set_aside(pk: int, now: datetime) -> None:
    Incident.objects.filter(pk=pk, next_escalation_at__lte=now).update(
        next_escalation_at=now + _SET_ASIDE
    )


def _advance(incident: Incident, now: datetime) -> None:
    if incident.snoozed_until is not None:
        _wake(incident, now)
    elif incident.status == Incident.Status.TRIGGERED:
        reason = Reason.RETRIED if incident.is_untold else Reason.REMINDED
        paging.page(incident=incident, reason=reason, now=now)


def _wake(incident: Incident, now: datetime) -> None:
    was_acknowledged = incident.status == Incident.Status.ACKNOWLEDGED
    incident.snoozed_until = None
    if was_acknowledged:
        lifecycle.take_back(incident=incident)
    timeline.add(
        incident=incident,
        kind=IncidentEvent.Kind.WOKEN,
        now=now,
        data={"cause": "due", "was_acknowledged": was_acknowledged},
    )
    paging.page(incident=incident, reason=Reason.WOKEN, now=now)


def _undelivered(now: datetime) -> QuerySet[Incident]:
    """Triggered incidents that should have told somebody and have not."""
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
        Incident.objects.filter(status=Incident.Status.TRIGGERED, is_untold=False)
        .filter(Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=now))
        .exclude(policy__is_digest=True)
        .exclude(Exists(pages))
    )


def _page_others(incident: Incident, now: datetime) -> None:
    paging.page(
        incident=incident,
        reason=Reason.UNDELIVERED,
        now=now,
        avoid=paging.channels_that_failed(incident=incident),
    )
