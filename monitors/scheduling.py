"""Which monitors are due. One SQL statement claims them, with a lease.

Each monitor has its own fixed grid of slots, shifted by a stable hash so that a
thousand monitors of one interval spread evenly. A slot that was missed is not made
up: the monitor is asked once, soon, and then returns to its grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

# A slot counts as missed when it is so much in the past.
LATE_S = 2.0
# After a standstill the first questions spread over at most so many seconds, and over
# so much of the interval: all are asked within one.
CATCH_UP_S = 60.0
CATCH_UP_RATIO = 0.75
# Slots are claimed so far ahead, at most.
_AHEAD_S = 5.0
# A claimed probe that left no result so long after its timeout was lost.
LEASE_MARGIN_S = 30.0

# Knuth's multiplicative hash: neighboring ids land far apart.
_PHASE = "((m.id * 2654435761) %% 4294967296) / 4294967296.0"

_CLAIM = f"""
WITH due AS (
    SELECT s.monitor_id,
           m.revision,
           m.interval_s::float8 AS interval_s,
           m.timeout_s,
           extract(epoch FROM s.next_slot_at)::float8 AS next_s,
           {_PHASE} AS phase
      FROM monitors_probeslot s
      JOIN monitors_monitor m ON m.id = s.monitor_id
     WHERE s.next_slot_at < to_timestamp(%(horizon)s)
       AND m.is_enabled
       AND m.kind <> 'heartbeat'
     ORDER BY s.next_slot_at
     LIMIT %(limit)s
       FOR UPDATE OF s SKIP LOCKED
), planned AS (
    SELECT *,
           CASE WHEN next_s >= %(now)s - {LATE_S} THEN next_s
                ELSE %(now)s + phase * least(interval_s * {CATCH_UP_RATIO}, {CATCH_UP_S})
           END AS slot_s
      FROM due
), claimed AS (
    UPDATE monitors_probeslot s
       SET slot_at = CASE WHEN p.slot_s < %(horizon)s
                          THEN to_timestamp(p.slot_s) ELSE s.slot_at END,
           lease_until = CASE WHEN p.slot_s < %(horizon)s
                              THEN to_timestamp(p.slot_s + p.timeout_s
                                                + {LEASE_MARGIN_S})
                              ELSE s.lease_until END,
           next_slot_at = CASE
               WHEN p.slot_s >= %(horizon)s THEN to_timestamp(p.slot_s)
               -- The first slot of the grid that is not right behind this one.
               ELSE to_timestamp(
                   (floor((p.slot_s + p.interval_s * 0.25) / p.interval_s - p.phase)
                    + 1 + p.phase) * p.interval_s)
           END
      FROM planned p
     WHERE s.monitor_id = p.monitor_id
 RETURNING s.monitor_id, p.revision, p.slot_s
)
SELECT monitor_id, revision, slot_s FROM claimed
 WHERE slot_s < %(horizon)s
 ORDER BY slot_s
"""  # noqa: S608 only numbers of this module go in


@dataclass(frozen=True, slots=True)
class Claim:
    """A monitor to probe at `slot` (seconds since the epoch).

    `revision` tells whether a parsed copy of its configuration is still good.
    """

    monitor_id: int
    revision: int
    slot: float


def claim_due(*, now: datetime, horizon_s: float, limit: int) -> list[Claim]:
    """Claim the monitors whose slot lies before `now + horizon_s`, soonest first.

    Safe with any number of callers: a slot is claimed once.
    """
    seconds = now.timestamp()
    with connection.cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {"now": seconds, "horizon": seconds + horizon_s, "limit": limit},
        )
        return [Claim(*row) for row in cursor.fetchall()]


def free_lost_slots(*, now: datetime) -> int:
    """Make monitors due whose claimed probe left no result; return how many.

    Their worker died between claim and record.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE monitors_probeslot s
               SET next_slot_at = least(s.next_slot_at, %(now)s), lease_until = NULL
              FROM monitors_monitorstate st
             WHERE st.monitor_id = s.monitor_id
               AND s.lease_until < %(now)s
               AND (st.last_result_at IS NULL OR st.last_result_at < s.slot_at)
            """,
            {"now": now},
        )
        return int(cursor.rowcount)


def bring_forward(*, now: datetime) -> int:
    """Give slots back to their grid that lie further ahead than it; return how many.

    Their interval was shortened since, or the clock was set back.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE monitors_probeslot s
               SET next_slot_at = %(now)s
                   + {_PHASE} * least(m.interval_s * {CATCH_UP_RATIO}, {CATCH_UP_S})
                     * interval '1 second'
              FROM monitors_monitor m
             WHERE m.id = s.monitor_id
               AND s.next_slot_at
                   > %(now)s + (m.interval_s * 1.25 + %(slack)s) * interval '1 second'
            """,  # noqa: S608 only numbers of this module go in
            {"now": now, "slack": _AHEAD_S},
        )
        return int(cursor.rowcount)


def ask_at(*, monitor_id: int, at: datetime) -> None:
    """Make a monitor due at `at`, unless it is due earlier anyway."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE monitors_probeslot SET next_slot_at = least(next_slot_at, %s)"
            " WHERE monitor_id = %s",
            [at, monitor_id],
        )
