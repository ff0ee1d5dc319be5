"""How fast a provider is used, by all processes together.

The pace stands in one row of the database: each message reserves the next free moment
in one statement. Nobody holds more than a blink of the future, and pages hold more of
it than the rest, so a page never waits behind a digest and an acknowledgement always
finds what has not left in the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from notifications.backoff import MAX_ASKED_S
from notifications.models import Notification, ProviderState

# How far ahead a moment may be that a sender waits for, by lane.
_AHEAD = {
    Notification.Lane.PAGING: timedelta(milliseconds=300),
    Notification.Lane.NORMAL: timedelta(milliseconds=50),
    Notification.Lane.BULK: timedelta(0),
}

# No clock that is right is further from another one.
_SKEW = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(seconds=MAX_ASKED_S)

# Only a pause that the provider asked for lately reaches further than the pace. Anything
# else was written by a clock that has been set back since, and no page waits for it.
_RESERVE = """
INSERT INTO notifications_providerstate AS state (provider_id, error, next_free_at)
VALUES (%(provider)s, '', %(now)s + %(gap)s)
ON CONFLICT (provider_id) DO UPDATE
SET next_free_at = %(gap)s + CASE
    WHEN state.next_free_at <= %(now)s + %(ahead)s
        THEN greatest(state.next_free_at, %(now)s)
    ELSE %(now)s END
WHERE coalesce(state.next_free_at, %(now)s) <= %(now)s + %(ahead)s
    OR (state.next_free_at > %(now)s + %(gap)s + %(skew)s
        AND coalesce(state.failed_at NOT BETWEEN
            %(now)s - %(longest_pause)s AND %(now)s + %(skew)s, true))
RETURNING next_free_at - %(gap)s
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a message may leave. `is_ours`: it was reserved; otherwise come back then."""

    at: datetime
    is_ours: bool


def reserve(*, provider_id: int, rate_per_s: float, lane: int, now: datetime) -> Moment:
    """Take the provider's next free moment, unless it is too far ahead for the lane."""
    values: dict[str, Any] = {
        "provider": provider_id,
        "now": now,
        "gap": timedelta(seconds=1 / rate_per_s),
        "ahead": _AHEAD[Notification.Lane(lane)],
        "skew": _SKEW,
        "longest_pause": _LONGEST_PAUSE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RESERVE, values)
        reserved = cursor.fetchone()
    if reserved is not None:
        return Moment(at=reserved[0], is_ours=True)
    state = ProviderState.objects.filter(provider_id=provider_id).first()
    free_at = state.next_free_at if state is not None else None
    return Moment(at=max(free_at or now, now), is_ours=False)
