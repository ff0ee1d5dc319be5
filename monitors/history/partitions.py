"""Daily partitions of raw results and samples: created ahead, dropped when too old.

One partition is one UTC day, named after it: `monitors_checkresult_20260302`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, time, timedelta

from django.db import OperationalError, connection, transaction
from psycopg import sql

logger = logging.getLogger(__name__)

TABLES = ("monitors_checkresult", "monitors_sample")
# Serializes whoever creates or drops partitions.
_LOCK = 5_412_001
# Late results of a few hours may still belong to yesterday.
_DAYS_BACK = 1
# Waiting for a DROP's lock holds up every insert behind it, so the wait is short and
# the next round tries again.
_DROP_LOCK_TIMEOUT = "1s"


def ensure(*, now: datetime, days_ahead: int = 3) -> list[str]:
    """Create the partitions of yesterday to `days_ahead` days from now.

    Returns the names of those that were missing. Cheap when none is; safe under
    concurrency and inside a transaction.
    """
    today = now.astimezone(UTC).date()
    return ensure_days(
        days=[today + timedelta(days=n) for n in range(-_DAYS_BACK, days_ahead + 1)]
    )


def ensure_days(*, days: Collection[date], tables: Iterable[str] = TABLES) -> list[str]:
    """Create the partitions of some UTC days; return the names that were missing."""
    wanted = [(table, day, _name(table, day)) for table in tables for day in days]
    existing = _existing()
    if all(name in existing for _, _, name in wanted):
        return []
    with transaction.atomic():
        _lock()
        existing = _existing()
        missing = [entry for entry in wanted if entry[2] not in existing]
        for table, day, name in missing:
            _create(table, day, name)
    return [name for _, _, name in missing]


def drop_old(*, now: datetime, keep_days: int) -> list[str]:
    """Drop the partitions that ended more than `keep_days` days ago; return their names.

    A partition that somebody reads at this moment is left for the next round.
    """
    oldest = now.astimezone(UTC).date() - timedelta(days=keep_days)
    # The last eight characters are the day, and sort like it.
    old = sorted(name for name in _existing() if name[-8:] < f"{oldest:%Y%m%d}")
    return [name for name in old if _drop(name)]


def oldest_day(*, table: str) -> date | None:
    """Return the oldest UTC day that a table still keeps, None when it keeps none."""
    days = [name[-8:] for name in _existing() if name.startswith(f"{table}_")]
    if not days:
        return None
    return datetime.strptime(min(days), "%Y%m%d").replace(tzinfo=UTC).date()


def _name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


def _existing() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT part.relname
              FROM pg_inherits
              JOIN pg_class part ON part.oid = inhrelid
             WHERE inhparent = ANY(%s::regclass[])
            """,
            [list(TABLES)],
        )
        return {name for (name,) in cursor.fetchall()}


def _create(table: str, day: date, name: str) -> None:
    """Make a table and attach it.

    CREATE TABLE … PARTITION OF would lock out every reader and writer of the parent;
    attaching locks out nobody.
    """
    start = datetime.combine(day, time.min, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(
                sql.Identifier(name), sql.Identifier(table)
            )
        )
        cursor.execute(
            sql.SQL(
                "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})"
            ).format(
                sql.Identifier(table),
                sql.Identifier(name),
                sql.Literal(start.isoformat()),
                sql.Literal((start + timedelta(days=1)).isoformat()),
            )
        )


def _drop(name: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            _lock()
            cursor.execute("SET LOCAL lock_timeout = %s", [_DROP_LOCK_TIMEOUT])
            cursor.execute(
                sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name))
            )
    except OperationalError as error:
        logger.warning("partition %s is in use and was not dropped: %s", name, error)
        return False
    return True


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
