"""How the monitors of a service answered before a moment and after another; one query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from monitors.history.rollups import HAS_LATENCY_SQL, LATENCY_SQL

# Heartbeats take no time and are not asked. What is our own fault says nothing.
_MEASURED = f"""
SELECT asked.number, monitor.id, monitor.name, at >= asked.after_start,
       count(*),
       count(*) FILTER (WHERE code <> 0),
       percentile_disc(0.95) WITHIN GROUP (ORDER BY {LATENCY_SQL})
           FILTER (WHERE code = 0 AND {HAS_LATENCY_SQL})
  FROM unnest(%(services)s::bigint[], %(before_starts)s::timestamptz[],
              %(before_ends)s::timestamptz[], %(after_starts)s::timestamptz[],
              %(after_ends)s::timestamptz[])
       WITH ORDINALITY AS asked (service_id, before_start, before_end, after_start,
                                 after_end, number)
  JOIN monitors_monitor monitor
    ON monitor.service_id = asked.service_id AND monitor.is_enabled
   AND monitor.kind <> 'heartbeat'
  JOIN monitors_checkresult result
    ON result.monitor_id = monitor.id
   AND at >= asked.before_start AND at < asked.after_end
   AND (at < asked.before_end OR at >= asked.after_start)
   -- So that the planner leaves out the other days.
   AND at >= %(first)s AND at < %(last)s
 WHERE code NOT BETWEEN 90 AND 99
 GROUP BY 1, 2, 3, 4
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
    values: dict[str, Any] = {
        "services": [one.service_id for one in stretches],
        "before_starts": [one.before_start for one in stretches],
        "before_ends": [one.before_end for one in stretches],
        "after_starts": [one.after_start for one in stretches],
        "after_ends": [one.after_end for one in stretches],
        "first": min(one.before_start for one in stretches),
        "last": max(one.after_end for one in stretches),
    }
    with connection.cursor() as cursor:
        cursor.execute(_MEASURED, values)
        rows = cursor.fetchall()
    sides: dict[tuple[int, int, str], dict[bool, Side]] = {}
    for number, monitor_id, name, is_after, *measured in rows:
        both = sides.setdefault((number - 1, monitor_id, name), {})
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
