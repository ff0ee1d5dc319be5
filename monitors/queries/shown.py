"""How a monitor is shown now: what its row says, as long as somebody vouches for it."""

from __future__ import annotations

from datetime import datetime

from monitors.models import MonitorState
from monitors.status import Status

# Decided by people or before the first result: true without anybody looking.
NEEDS_NO_VOUCHING = frozenset({Status.PAUSED, Status.MAINTENANCE, Status.PENDING})

# What a person should look at, first things first; the order of every list.
_RANKS = {
    Status.DOWN: 0,
    # 1 is flapping, whatever the status.
    Status.DEGRADED: 2,
    Status.UNKNOWN: 3,
    Status.PENDING: 4,
    Status.MAINTENANCE: 5,
    Status.UP: 6,
    Status.PAUSED: 7,
}
_FLAPPING_RANK = 1
_LAST_RANK_TO_LOOK_AT = _RANKS[Status.UNKNOWN]


def shown_status(state: MonitorState | None, now: datetime) -> Status:
    """Return the status that pages show, which is unknown once the row is stale.

    A state that no result has confirmed in time is vouched for by nobody, whatever it
    says (design §5.1); only pauses and maintenance hold by themselves.
    """
    if state is None:
        return Status.PENDING
    return vouched(status=state.status, fresh_until=state.fresh_until, now=now)


def vouched(*, status: str, fresh_until: datetime | None, now: datetime) -> Status:
    """`shown_status` for a row that was read as plain values."""
    known = Status(status)
    if known in NEEDS_NO_VOUCHING or fresh_until is None or fresh_until >= now:
        return known
    return Status.UNKNOWN


def shown_since(state: MonitorState | None, now: datetime) -> datetime | None:
    """Return since when `shown_status` has been what it is."""
    if state is None:
        return None
    if shown_status(state, now) != state.status and state.fresh_until is not None:
        return max(state.fresh_until, state.since)
    return state.since


def observed_until(state: MonitorState | None) -> datetime | None:
    """Return up to when the open interval counts; None: it needs no vouching."""
    if state is None:
        return None
    return vouched_until(status=state.status, fresh_until=state.fresh_until)


def vouched_until(
    *, status: str | None, fresh_until: datetime | None
) -> datetime | None:
    """`observed_until` for a row that was read as plain values."""
    if status is None or Status(status) in NEEDS_NO_VOUCHING:
        return None
    return fresh_until


def look_rank(*, status: Status, is_flapping: bool) -> int:
    """Return the place in a list that starts with what needs a look."""
    rank = _RANKS[status]
    return min(rank, _FLAPPING_RANK) if is_flapping else rank


def needs_a_look(*, status: Status, is_flapping: bool) -> bool:
    """Whether somebody should look at it: down, flapping, degraded or unknown."""
    return look_rank(status=status, is_flapping=is_flapping) <= _LAST_RANK_TO_LOOK_AT
