"""Who gets much at once gets it in one message: one row carries others.

Only what is about incidents, to a person, by the same method and for the same purpose,
and never a P0 but its exact copy. What is carried is `bundled`. Until its carrier has
left, it can be cancelled, and it is queued again when only the carrier is cancelled;
then their fates are one: told when it was sent, dead when it is dead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, CharField, F, Max, Q, QuerySet, Value, When
from django.db.models.aggregates import Count
from django.utils.translation import ngettext, override

from notifications.claiming import Claim, held
from notifications.fallthrough import bring_forward
from notifications.message import MAX_SHORT, Message, UnableToReadMessage
from notifications.models import Notification
from t4g_portal.lib.priority import Priority

# Above this, one person gets at most one message in each pause, by each method.
MAX_MESSAGES = 5
WINDOW = timedelta(minutes=5)
PAUSE = timedelta(minutes=1)
# A message names that many others, and counts the rest.
MAX_NAMED = 20
# Of one carrier; the next carries the rest.
MAX_CARRIED = 200

_Status = Notification.Status


def bundled(messages: Sequence[Message]) -> Message:
    """Make one message of several: the most urgent one, which lists the others.

    In the language of that one; all are for the same person.
    """
    lead, *others = sorted(messages, key=lambda one: one.priority or "p9")
    if not others:
        return lead
    with override(lead.language or None):
        heading = _heading(others)
        named = [one.marked_title for one in others[:MAX_NAMED]]
        unnamed_count = len(others) - len(named)
        if unnamed_count:
            named.append(
                ngettext("and %(count)d more", "and %(count)d more", unnamed_count)
                % {"count": unnamed_count}
            )
        lines = "\n".join([f"{heading}:", *(f"• {name}" for name in named)])
        short = lead.short or lead.marked_title
        more = f" (+{len(others)})"
        return replace(
            lead,
            text=f"{lead.text}\n\n{lines}" if lead.text else lines,
            short=short[: MAX_SHORT - len(more)].rstrip() + more,
            spoken=f"{lead.spoken} {heading}." if lead.spoken else "",
        )


def _heading(others: Sequence[Message]) -> str:
    """Say how many others there are, and where, when it is one place."""
    services = Counter(one.service for one in others)
    count = len(others)
    if len(services) == 1 and (service := next(iter(services))):
        return ngettext(
            "%(count)d more on %(service)s", "%(count)d more on %(service)s", count
        ) % {"count": count, "service": service}
    return ngettext("%(count)d more", "%(count)d more", count) % {"count": count}


def gather(
    *, claim: Claim, message: Message, now: datetime
) -> tuple[Message, ...] | None:
    """Return the messages that a claimed row carries beside its own as it leaves.

    None when the person gets too much at the moment: then the row was put back to wait
    for its turn, and what else is due to them waits with it. None also when somebody
    else has taken the row over.
    """
    if message.incident_id is None or message.edits:
        return ()
    with transaction.atomic():
        row = held(claim=claim, is_locked=True)
        if row is None:
            return None
        if row.address_id is None:
            return ()
        if message.priority == Priority.P0:
            copies = _siblings(row, now).filter(
                subject_key=row.subject_key,
                message__title=message.title,
                message__text=message.text,
            )
            _carry(row, copies)
            # They say what the message says already.
            return ()
        _drop_cancelled(row, now)
        others = _siblings(row, now).exclude(message__priority=Priority.P0)
        if not row.bundled.exists():
            turn_at = _turn_at(row, now)
            if turn_at is None:
                return ()
            if turn_at > now:
                _put_back(row, others, turn_at)
                return None
        _carry(row, others)
    return carried_by(row)


def carried_by(row: Notification) -> tuple[Message, ...]:
    """Return what a row carries beside its own message, P0's copies apart."""
    stored = (
        row.bundled.filter(status=_Status.BUNDLED)
        .exclude(message__priority=Priority.P0)
        .order_by("pk")
        .values_list("message", flat=True)
    )
    return tuple(_readable(stored))


def release(*, carriers: QuerySet[Notification], now: datetime) -> None:
    """Queue again what carriers took with them that nobody will send."""
    is_cancelled = Q(cancel_requested_at__isnull=False)
    keys = list(
        Notification.objects.filter(
            bundled_into__in=carriers, status=_Status.BUNDLED, ended_at=None
        )
        # What somebody else holds is just being cancelled.
        .select_for_update(skip_locked=True, no_key=True)
        .values_list("pk", flat=True)
    )
    Notification.objects.filter(pk__in=keys).update(
        status=Case(
            When(is_cancelled, then=Value(_Status.CANCELLED)),
            default=Value(_Status.QUEUED),
            output_field=CharField(),
        ),
        ended_at=Case(When(is_cancelled, then=Value(now)), default=None),
        next_attempt_at=now,
        bundled_into=None,
    )


def share_fate(*, carrier: Notification, now: datetime) -> None:
    """Let what a row carried end as it did.

    Call it in the transaction that ends it, with all of them locked.
    """
    carried = carrier.bundled.filter(status=_Status.BUNDLED, ended_at=None)
    if carrier.status == _Status.SENT:
        carried.update(ended_at=now)
    elif carrier.status == _Status.CANCELLED:
        release(carriers=Notification.objects.filter(pk=carrier.pk), now=now)
    elif carrier.status == _Status.DEAD:
        for row in carried.order_by("pk"):
            row.status = _Status.CANCELLED if row.cancel_requested_at else _Status.DEAD
            row.outcome = row.outcome or carrier.outcome
            row.ended_at = now
            row.save(update_fields=["status", "outcome", "ended_at"])
            if row.status == _Status.DEAD:
                bring_forward(route_key=row.route_key, now=now)


def _siblings(row: Notification, now: datetime) -> QuerySet[Notification]:
    """Return what else is due to the same person in the same way."""
    return Notification.objects.filter(
        address=row.address_id,
        method=row.method,
        purpose=row.purpose,
        status=_Status.QUEUED,
        # What was tried keeps its own key, and what it carries.
        attempt_count=0,
        cancel_requested_at=None,
        next_attempt_at__lte=now,
        message__incident_id__gte=1,
    ).exclude(pk=row.pk)


def _carry(row: Notification, others: QuerySet[Notification]) -> None:
    # What somebody else holds is being cancelled or sent.
    found = others.order_by("pk").select_for_update(skip_locked=True, no_key=True)
    keys = list(found.values_list("pk", flat=True)[:MAX_CARRIED])
    Notification.objects.filter(pk__in=keys).update(
        status=_Status.BUNDLED, bundled_into=row
    )


def _drop_cancelled(row: Notification, now: datetime) -> None:
    row.bundled.filter(
        status=_Status.BUNDLED, ended_at=None, cancel_requested_at__isnull=False
    ).update(status=_Status.CANCELLED, ended_at=now)


def _turn_at(row: Notification, now: datetime) -> datetime | None:
    """Return when the person may get the next message; None: they get little."""
    lately = (
        Notification.objects.filter(
            # An edit of a message in a chat disturbs nobody.
            Q(message__edits="") | Q(message__edits__isnull=True),
            address=row.address_id,
            method=row.method,
            status=_Status.SENT,
            ended_at__gt=now - WINDOW,
            message__incident_id__gte=1,
        )
        .exclude(message__priority=Priority.P0)
        .aggregate(count=Count("pk"), last=Max("ended_at"))
    )
    if lately["count"] < MAX_MESSAGES:
        return None
    # Never longer than the pause, whatever the clock of another host says.
    last: datetime = min(lately["last"], now)
    return last + PAUSE


def _put_back(
    row: Notification, others: QuerySet[Notification], turn_at: datetime
) -> None:
    found = others.order_by("pk").select_for_update(skip_locked=True, no_key=True)
    keys = list(found.values_list("pk", flat=True))
    Notification.objects.filter(pk__in=keys).update(next_attempt_at=turn_at)
    Notification.objects.filter(pk=row.pk).update(
        status=_Status.QUEUED,
        next_attempt_at=turn_at,
        # It was not tried.
        attempt_count=F("attempt_count") - 1,
        lease_until=None,
        lease_token=None,
    )


def _readable(stored: Iterable[Any]) -> Iterable[Message]:
    for one in stored:
        try:
            yield Message.from_json(one)
        except UnableToReadMessage:
            # Its line is lost; the others are told.
            continue
