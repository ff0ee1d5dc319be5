"""Incidents and pages as they may be after months, made as rows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from incidents.models import Incident, Service
from notifications.models import Address, Channel, Notification

MINUTE = timedelta(minutes=1)
_keys = itertools.count(1)


def incident(*, opened_at: datetime, **values: Any) -> Incident:
    """An incident without history, not saved: P1, due after 15 minutes."""
    if "resolved_at" in values:
        values.setdefault("status", Incident.Status.RESOLVED)
    values.setdefault("title", "API health is down")
    values.setdefault("priority", "p1")
    values.setdefault("grouping_key", f"key {next(_keys)}")
    return Incident(
        opened_at=opened_at,
        started_at=opened_at - MINUTE,
        response_due_at=values.pop("response_due_at", opened_at + 15 * MINUTE),
        **values,
    )


def random_incidents(
    *,
    seed: int,
    count: int,
    since: datetime,
    until: datetime,
    services: Sequence[Service],
) -> list[Incident]:
    """Save incidents of every kind, opened in [since, until)."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        opened_at = since + (until - since) * chance.random()
        values: dict[str, Any] = {}
        if chance.random() < 0.6:
            values["first_acknowledged_at"] = opened_at + _length(chance)
        if chance.random() < 0.8:
            resolved_at = opened_at + _length(chance)
            acknowledged_at = values.get("first_acknowledged_at", opened_at)
            values["resolved_at"] = max(resolved_at, acknowledged_at)
            values["resolved_by_name"] = chance.choice(["", "", "Ana"])
        if chance.random() < 0.2:
            values["response_missed_at"] = opened_at + _length(chance)
        rows.append(
            incident(
                opened_at=opened_at,
                service=chance.choice(services),
                priority=chance.choice(["p0", "p1", "p2", "p3"]),
                is_drill=chance.random() < 0.1,
                response_due_at=opened_at
                + chance.choice([5 * MINUTE, 15 * MINUTE, 24 * 60 * MINUTE]),
                **values,
            )
        )
    return Incident.objects.bulk_create(rows)


def _length(chance: random.Random) -> timedelta:
    # Whole seconds now and then, so that some are equal.
    seconds = chance.lognormvariate(5.5, 1.6)
    return timedelta(seconds=round(seconds) if chance.random() < 0.3 else seconds)


def page(
    *,
    incident: Incident,
    at: datetime,
    address: Address | None = None,
    channel: Channel | None = None,
    **values: Any,
) -> Notification:
    """Save a page that has left."""
    values.setdefault("status", Notification.Status.SENT)
    values.setdefault("purpose", "page")
    return Notification.objects.create(
        address=address,
        channel=channel,
        idempotency_key=f"made:{next(_keys)}",
        subject_key=f"incident:{incident.pk}",
        message={},
        queued_at=values.pop("queued_at", at),
        next_attempt_at=at,
        give_up_at=at,
        ended_at=at,
        **values,
    )
