"""What is wrong, from plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from incidents.auditing.judging import (
    IncidentFacts,
    Kind,
    MessageFacts,
    judge_incident,
    judge_message,
)
from incidents.models import AuditFinding

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
YEARS = timedelta(days=3 * 365)


def incident(**values: Any) -> IncidentFacts:
    """A P0 that was paged a minute ago and will be again in four."""
    return IncidentFacts(
        **{
            "next_at": NOW + 4 * MINUTE,
            "wanted_at": NOW + 4 * MINUTE,
            "is_calling": True,
            "is_untold": False,
            "page_count": 1,
            "paged_at": NOW - MINUTE,
            "opened_at": NOW - MINUTE,
            "has_rows": True,
            **values,
        }
    )


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (incident(), None),
        (incident(next_at=None), Kind.NO_NEXT_STEP),
        # Told once and never again, as the policy has it.
        (incident(next_at=None, wanted_at=None), None),
        (incident(next_at=NOW - MINUTE), None),
        (incident(next_at=NOW - 3 * MINUTE), Kind.LATE_STEP),
        (incident(next_at=NOW - YEARS), Kind.LATE_STEP),
        (incident(next_at=NOW + YEARS), Kind.LATE_STEP),
        # Set aside for a minute after it failed to advance.
        (incident(next_at=NOW + MINUTE, wanted_at=NOW - MINUTE), None),
        (incident(has_rows=False), Kind.NO_MESSAGE),
        (incident(has_rows=False, is_calling=False), None),
        # The timeline says that nobody could be told, and it is tried again.
        (incident(has_rows=False, is_untold=True), None),
        (incident(has_rows=False, page_count=0, paged_at=None), None),
        (
            incident(
                has_rows=False,
                page_count=0,
                paged_at=None,
                next_at=None,
                wanted_at=None,
                opened_at=NOW - YEARS,
            ),
            Kind.NO_MESSAGE,
        ),
        # Acknowledged or snoozed: what the planner wants counts all the same.
        (incident(is_calling=False, next_at=None), Kind.NO_NEXT_STEP),
        (incident(is_calling=False, next_at=None, wanted_at=None), None),
    ],
)
def test_open_incident_is_judged(facts, kind):
    assert judge_incident(facts=facts, now=NOW) == kind


def message(**values: Any) -> MessageFacts:
    return MessageFacts(
        **{
            "status": "queued",
            "due_at": NOW,
            "lease_until": None,
            "ended_at": None,
            "is_wanted": True,
            "awaits_receipt": False,
            "is_held_up": False,
            **values,
        }
    )


def sent(**values: Any) -> MessageFacts:
    values = {"ended_at": NOW - 20 * MINUTE, "awaits_receipt": True, **values}
    return message(status="sent", **values)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (message(), None),
        (message(due_at=NOW - 6 * MINUTE), Kind.NOT_LEAVING),
        (message(due_at=NOW - 6 * MINUTE, is_held_up=True), None),
        (message(due_at=NOW + 6 * MINUTE), None),
        (message(status="sending", lease_until=NOW + MINUTE), None),
        # The next claim takes it over within seconds.
        (message(status="sending", lease_until=NOW - MINUTE), None),
        (message(status="sending", lease_until=NOW - 3 * MINUTE), Kind.STUCK),
        (message(status="sending", lease_until=None), Kind.STUCK),
        (message(status="sending", lease_until=NOW + YEARS), Kind.STUCK),
        (sent(), Kind.NO_RECEIPT),
        (sent(ended_at=NOW - YEARS), Kind.NO_RECEIPT),
        (sent(ended_at=NOW - 9 * MINUTE), None),
        # An e-mail or a Slack message: nobody promised to report.
        (sent(awaits_receipt=False), None),
        # Somebody has it: no receipt is missed.
        (sent(is_wanted=False), None),
        (message(status="dead"), None),
        (message(status="cancelled", due_at=NOW - YEARS), None),
    ],
)
def test_message_is_judged(facts, kind):
    assert judge_message(facts=facts, now=NOW) == kind


def test_kinds_are_those_of_the_rows():
    assert [str(kind) for kind in Kind] == AuditFinding.Kind.values
