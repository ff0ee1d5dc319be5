"""What is wrong with an open incident or a message, from plain values. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# The engine looks every 5 s and sets aside what fails for a minute.
LATE_AFTER = timedelta(minutes=2)
# What is further off than the planner says was set by somebody else than the engine.
_TOO_FAR = timedelta(minutes=5)
# A lease lasts 90 s; then the next claim takes the message over within seconds.
STUCK_AFTER = timedelta(minutes=2)
LONGEST_LEASE = timedelta(minutes=10)
# Nothing else keeps it: then nobody delivers.
NOT_LEAVING_AFTER = timedelta(minutes=5)
# Providers report within seconds, some within minutes.
RECEIPT_WITHIN = timedelta(minutes=10)


class Kind(StrEnum):
    """What can be wrong; the values are those of `AuditFinding.Kind`."""

    NO_NEXT_STEP = "no_next_step"
    LATE_STEP = "late_step"
    NO_MESSAGE = "no_message"
    STUCK = "stuck"
    NOT_LEAVING = "not_leaving"
    NO_RECEIPT = "no_receipt"
    STILL_HELD = "still_held"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """An open incident as the auditor sees it.

    `next_at`: when the engine looks at it next; `wanted_at`: when the planner says that
    it should, None when it need not. `is_calling`: somebody should be told of it, and
    nobody has it. `has_rows`: the outbox holds the last page; `page_count` pages were
    written, the last one at `paged_at`. `began_at`: when the present climb began.
    """

    next_at: datetime | None
    wanted_at: datetime | None
    is_calling: bool
    is_untold: bool
    page_count: int
    paged_at: datetime | None
    opened_at: datetime
    has_rows: bool
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """A message that has not ended, or was handed on.

    `awaits_receipt`: the provider promised a report and none has come. `is_held_up`:
    another message to the same destination is tried first. `is_ahead`: it waits for
    longer than anything does, or was written later than now.
    """

    status: str
    due_at: datetime
    lease_until: datetime | None
    ended_at: datetime | None
    is_wanted: bool
    awaits_receipt: bool
    is_held_up: bool
    is_ahead: bool = False


def judge_incident(*, facts: IncidentFacts, now: datetime) -> Kind | None:
    """Return what is wrong with an open incident, None when nothing is."""
    if facts.next_at is None:
        if facts.wanted_at is not None:
            return Kind.NO_NEXT_STEP
    elif _is_late(facts, facts.next_at, now):
        return Kind.LATE_STEP
    if not facts.is_calling or facts.is_untold:
        return None
    if facts.page_count and not facts.has_rows:
        return Kind.NO_MESSAGE
    # It was never told of, nor will be.
    is_forgotten = facts.paged_at is None and facts.next_at is None
    if is_forgotten and facts.opened_at < now - LATE_AFTER:
        return Kind.NO_MESSAGE
    return None


def _is_late(facts: IncidentFacts, next_at: datetime, now: datetime) -> bool:
    if next_at < now - LATE_AFTER:
        return True
    if facts.is_calling and is_ahead(facts.paged_at, facts.began_at, now=now):
        return True
    # Whatever the planner wanted at once may have been set aside for a minute.
    wanted_at = facts.wanted_at
    return wanted_at is not None and next_at > max(wanted_at, now) + _TOO_FAR


def is_ahead(*moments: datetime | None, now: datetime) -> bool:
    """Whether one of some past moments is still to come.

    Then the clock was set back since, and what is planned from there comes too late.
    """
    return any(moment > now + LATE_AFTER for moment in moments if moment is not None)


def judge_message(*, facts: MessageFacts, now: datetime) -> Kind | None:
    """Return what is wrong with a message, None when nothing is."""
    if facts.status == "sending":
        lease = facts.lease_until
        if lease is None or not now - STUCK_AFTER <= lease <= now + LONGEST_LEASE:
            return Kind.STUCK
    if facts.status == "queued" and facts.is_ahead:
        return Kind.NOT_LEAVING
    if facts.status == "queued" and not facts.is_held_up:
        return Kind.NOT_LEAVING if facts.due_at < now - NOT_LEAVING_AFTER else None
    if facts.status == "sent" and facts.awaits_receipt and facts.is_wanted:
        is_old = facts.ended_at is None or facts.ended_at < now - RECEIPT_WITHIN
        return Kind.NO_RECEIPT if is_old else None
    return None
