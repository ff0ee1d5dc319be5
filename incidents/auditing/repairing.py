"""Puts right what the auditor found; each repair is its own transaction.

It looks again under the lock of the row, so two auditors repair a thing once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Least

from incidents import escalation, paging, priorities
from incidents.advancing import advance_due
from incidents.auditing import gathering
from incidents.auditing.gathering import Found
from incidents.auditing.judging import LONGEST_LEASE, Kind, is_ahead
from incidents.deploy_windows import advance_windows
from incidents.messages import Reason
from incidents.models import AuditFinding, Incident
from incidents.paging import Occasion
from notifications.fallthrough import bring_forward
from notifications.models import Notification
from notifications.wakeup import wake_up_on_commit

logger = logging.getLogger(__name__)

_MOMENT = timedelta(seconds=1)


def repair(*, found: Found, now: datetime) -> None:
    """Put one thing right, as far as that is possible; never raises.

    Whether it helped, the next look says.
    """
    mend = _REPAIRS.get(found.kind)
    if mend is None:
        return
    try:
        with transaction.atomic():
            mend(found, now)
    except Exception:
        logger.exception("no repair of %s", found)


def take_due(*, now: datetime) -> None:
    """Do what is due by the planner, as the engine does; never raises.

    A step may be years late, and the engine may stand still.
    """
    try:
        advance_windows(now=now)
        advance_due(now=now)
    except Exception:
        logger.exception("the engine's steps could not be taken")


def _schedule(found: Found, now: datetime) -> None:
    """Let the planner say when; after a clock was set back, from the first step on."""
    incident = _locked(found, now)
    if incident is None:
        return
    if is_ahead(incident.paged_at, incident.escalation_began_at, now=now):
        incident.escalation_began_at = now
        incident.escalation_runs = []
        incident.paged_at = min(incident.paged_at, now) if incident.paged_at else None
    paging.schedule(incident=incident, now=now)
    incident.save()


def _page_again(found: Found, now: datetime) -> None:
    incident = _locked(found, now)
    if incident is None:
        return
    paging.schedule(incident=incident, now=now)
    next_at = incident.next_escalation_at
    if next_at is None or next_at > now:
        paging.page_others(incident=incident, now=now)
    # Otherwise its next step pages in a moment: see `take_due`.
    incident.save()


def _release(found: Found, now: datetime) -> None:
    """End the lease of a message, so that the next claim takes it over.

    That one notes that its last try was lost, and sends it as a reminder.
    """
    is_stuck = (
        Q(lease_until__isnull=True)
        | Q(lease_until__lt=now)
        | Q(lease_until__gt=now + LONGEST_LEASE)
    )
    Notification.objects.filter(
        is_stuck, pk=found.notification_id or 0, status=Notification.Status.SENDING
    ).update(
        lease_until=now - _MOMENT, next_attempt_at=Least(F("next_attempt_at"), now)
    )
    wake_up_on_commit()


def _wake_delivery(found: Found, now: datetime) -> None:
    """Let it leave now: it is late, or waits for a clock that was set back."""
    Notification.objects.filter(
        pk=found.notification_id or 0,
        status=Notification.Status.QUEUED,
        next_attempt_at__gt=now,
    ).update(next_attempt_at=now)
    wake_up_on_commit()


def _next_way(found: Found, now: datetime) -> None:
    """Take the person's next way now; when there is none, page by other ways."""
    # The incident first, as whoever acknowledges takes them.
    incident = _lock(found)
    row = Notification.objects.select_for_update(of=("self",)).get(
        pk=found.notification_id or 0
    )
    finding, is_new = AuditFinding.objects.get_or_create(
        kind=found.kind,
        notification=row,
        defaults={
            "incident_id": found.incident_id,
            "found_at": now,
            "last_seen_at": now,
            "seen_count": 0,
        },
    )
    if not is_new:
        logger.info("finding %s is being repaired already", finding.pk)
        return
    if bring_forward(route_key=row.route_key, now=now) is not None:
        return
    is_told_since = Notification.objects.filter(
        subject_key=row.subject_key,
        purpose=paging.PAGE,
        queued_at__gt=row.queued_at,
        status__in=paging.ALIVE,
    ).exclude(pk=row.pk)
    if incident.status == Incident.Status.TRIGGERED and not is_told_since.exists():
        paging.page_others(incident=incident, now=now)
        incident.save()


def _give_policy(found: Found, now: datetime) -> None:
    """Let what can't be read begin anew, with the policy that its priority has today."""
    incident = _lock(found)
    if not gathering.is_unreadable(incident=incident, now=now):
        return
    policy = priorities.policy_for(service=incident.service, priority=incident.priority)
    incident.policy = escalation.snapshot(policy)
    incident.escalation_began_at, incident.escalation_runs = now, []
    if incident.is_calling(now=now):
        paging.begin(incident=incident, occasion=Occasion(Reason.RETRIED), now=now)
    paging.schedule(incident=incident, now=now)
    incident.save()


def _locked(found: Found, now: datetime) -> Incident | None:
    """Lock the incident; None when it is right by now."""
    incident = _lock(found)
    kind = gathering.of_incident(incident=incident, now=now)
    return incident if kind == found.kind else None


def _lock(found: Found) -> Incident:
    return (
        Incident.objects.select_related("service")
        .select_for_update(of=("self",))
        .get(pk=found.incident_id or 0)
    )


_REPAIRS: Mapping[Kind, Callable[[Found, datetime], None]] = {
    Kind.NO_NEXT_STEP: _schedule,
    Kind.LATE_STEP: _schedule,
    Kind.NO_MESSAGE: _page_again,
    Kind.UNREADABLE: _give_policy,
    Kind.STUCK: _release,
    Kind.NOT_LEAVING: _wake_delivery,
    Kind.NO_RECEIPT: _next_way,
}
