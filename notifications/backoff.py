"""When to try again. Pure: takes a random share, returns seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BASE_S = 2.0
# Never at once: a server that refuses needs a breath.
MIN_S = 1.0
# A page is there soon after its provider is; a reminder of it would come no sooner.
MAX_PAGING_S = 2 * 60.0
MAX_S = 3600.0
# What a page waits for when it is asked to.
MAX_ASKED_S = 15 * 60.0


def retry_delay_s(
    *,
    attempt_count: int,
    is_paging: bool,
    jitter: float,
    retry_after_s: float | None = None,
) -> float:
    """Return the seconds until the next attempt, after `attempt_count` (≥ 1) of them.

    Exponential with full jitter: 2 s, 4 s, 8 s … times `jitter` (0 to 1), at most
    2 min for a page and 1 h for the rest. What the receiver asks for is waited for, up
    to 15 min by a page and 1 h by the rest.
    """
    longest_s, asked_s = (MAX_PAGING_S, MAX_ASKED_S) if is_paging else (MAX_S, MAX_S)
    doublings = min(attempt_count - 1, 20)
    delay_s = jitter * min(longest_s, BASE_S * 2.0**doublings)
    return max(MIN_S, delay_s, min(retry_after_s or 0.0, asked_s))


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110 §10.2.3) as seconds from `now`, or None."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # Longer than any bound of ours, and long numbers are slow to read.
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
