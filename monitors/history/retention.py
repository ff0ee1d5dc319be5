"""Keeps house: room for tomorrow's results, and nothing kept past its time.

The ledger (`StatusInterval`) is kept for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from monitors import series
from monitors.history import partitions, rollups

logger = logging.getLogger(__name__)

PINGS_KEPT = 100
_AT_ONCE = 5_000

_PRUNE_DETAILS = """
DELETE FROM monitors_resultdetail
 WHERE id IN (SELECT id FROM monitors_resultdetail WHERE at < %s ORDER BY id LIMIT %s)
"""
# What is older than the hundredth newest of its monitor; the index finds that one.
_PRUNE_PINGS = """
DELETE FROM monitors_heartbeatping
 WHERE id IN (
    SELECT p.id
      FROM (SELECT DISTINCT monitor_id FROM monitors_heartbeatping) AS pinged
     CROSS JOIN LATERAL (
        SELECT at FROM monitors_heartbeatping kept
         WHERE kept.monitor_id = pinged.monitor_id
         ORDER BY at DESC OFFSET %s LIMIT 1
     ) AS oldest
      JOIN monitors_heartbeatping p
        ON p.monitor_id = pinged.monitor_id AND p.at < oldest.at
     WHERE p.is_handled
     LIMIT %s)
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """How much one round created and deleted."""

    partitions_created: int
    partitions_dropped: int
    rollups_deleted: int
    details_deleted: int
    pings_deleted: int
    series_deleted: int


def keep_house(*, now: datetime) -> Kept:
    """Create partitions ahead and delete what is past its time, in small batches.

    A step that fails does not keep the others from their work. Raises RuntimeError at
    the end when any failed.
    """
    results = settings.RESULT_RETENTION_DAYS
    hours = settings.ROLLUP_RETENTION_DAYS
    steps: dict[str, Callable[[], int]] = {
        "partitions_created": lambda: len(partitions.ensure(now=now)),
        "partitions_dropped": lambda: len(
            partitions.drop_old(now=now, keep_days=results)
        ),
        "rollups_deleted": lambda: rollups.drop_old(now=now, keep_days=hours),
        "details_deleted": lambda: _in_batches(
            _PRUNE_DETAILS, now - timedelta(days=results)
        ),
        "pings_deleted": lambda: _in_batches(_PRUNE_PINGS, PINGS_KEPT - 1),
        "series_deleted": lambda: series.drop_silent(
            before=now - timedelta(days=hours)
        ),
    }
    counts = dict.fromkeys(steps, 0)
    failed = []
    for name, step in steps.items():
        try:
            counts[name] = step()
        except Exception:
            logger.exception("keeping house: %s failed", name)
            failed.append(name)
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}")
    return Kept(**counts)


def _in_batches(statement: str, border: datetime | int) -> int:
    """Run a DELETE until it finds nothing more; return how many rows went."""
    total = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(statement, [border, _AT_ONCE])
            count = int(cursor.rowcount)
        total += count
        if count < _AT_ONCE:
            return total
