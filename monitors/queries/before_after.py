"""How the monitors of a service answered before a moment and after another; one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from monitors.history.rollups import HAS_LATENCY_SQL, LATENCY_SQL

# Heartbeats take no time and are not asked. What is our own fault says nothing. A part of
# the statement for each stretch, with its own bounds: with those of all, each would read
# what lies between the first and the last, which may be weeks.
_MEASURED = f"""
SELECT %s::integer, monitor.id, monitor.name, at >= %s,
       count(*),
       count(*) FILTER (WHERE code <> 0),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY {LATENCY_SQL})
           FILTER (WHERE code = 0 AND {HAS_LATENCY_SQL})
  FROM monitors_monitor monitor
  JOIN monitors_checkresult result ON result.monitor_id = monitor.id
 WHERE monitor.service_id = %s AND monitor.is_enabled AND monitor.kind <> 'heartbeat'
   AND (at >= %s AND at < %s OR at >= %s AND at < %s)
   AND code NOT BETWEEN 90 AND 99
 GROUP BY 2, 3, 4
"""  # noqa: S608 only constants go in


@dataclass(frozen=True, slots=True)
class Stretch:
    """A service, and two half-open stretches of time, the second one later."""

    service_id: int
    before_start: datetime
    before_end: datetime
    after_start: datetime
    after_end: datetime


@dataclass(frozen=True, slots=True)
class Side:
    """What was measured in one of the two. `p95_ms` None: nothing passed that took time."""

    count: int = 0
    failed_count: int = 0
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """One monitor in both."""

    monitor_id: int
    name: str
    before: Side
    after: Side


def before_and_after(stretches: Sequence[Stretch]) -> list[list[Compared]]:
    """Return, for each stretch, the enabled monitors with results in it, by name.

    Read from raw results: whoever asks for longer ago than they are kept gets none.
    """
    if not stretches:
        return []
    values: list[Any] = []
    for index, one in enumerate(stretches):
        values += [index, one.after_start, one.service_id]
        values += [one.before_start, one.before_end, one.after_start, one.after_end]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([_MEASURED] * len(stretches)), values)
        rows = cursor.fetchall()
    sides: dict[tuple[int, int, str], dict[bool, Side]] = {}
    for index, monitor_id, name, is_after, *measured in rows:
        both = sides.setdefault((index, monitor_id, name), {})
        both[is_after] = Side(*measured)
    found: list[list[Compared]] = [[] for _stretch in stretches]
    for (index, monitor_id, name), both in sides.items():
        compared = Compared(
            monitor_id, name, both.get(False, Side()), both.get(True, Side())
        )
        found[index].append(compared)
    for compareds in found:
        compareds.sort(key=lambda one: (one.name, one.monitor_id))
    return found
