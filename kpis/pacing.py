"""When a KPI is collected next. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

# The first wait after a failure; it doubles with each.
RETRY_S = 60
MAX_RETRY_S = 3600
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def next_slot(*, interval_s: int, key: int, after: datetime) -> datetime:
    """Return the next moment of a KPI's grid.

    Grids of the same interval are spread by the key, so that not all are due at once;
    what was missed is skipped, never replayed.
    """
    interval = timedelta(seconds=interval_s)
    # Knuth's multiplicative hash: neighbours end up far apart.
    shift = timedelta(seconds=key * 2_654_435_761 % interval_s)
    passed = (after - _EPOCH - shift) // interval
    return _EPOCH + shift + (passed + 1) * interval


def after_failure(
    *,
    interval_s: int,
    key: int,
    failure_count: int,
    is_temporary: bool,
    now: datetime,
) -> datetime:
    """Return when to try again after so many failures in a row (≥ 1).

    1, 2, 4 … minutes, at most an hour. What no other try will mend by itself waits for
    the KPI's own interval at least. It never stops.
    """
    wait_s = min(RETRY_S * 2 ** min(failure_count - 1, 12), MAX_RETRY_S)
    retry_at = now + timedelta(seconds=wait_s)
    if is_temporary:
        return retry_at
    return max(retry_at, next_slot(interval_s=interval_s, key=key, after=now))
