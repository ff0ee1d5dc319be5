"""Whether this portal can do its work: database, migrations, and loops on time.

The answer comes within a bound whatever the database does: it is asked from a thread of
its own, on a connection of its own, and left behind when it hangs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from django.db import Error as DatabaseError
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from t4g_portal.lib.loops import LateLoop, late_loops
from t4g_portal.lib.models import LoopCycle

logger = logging.getLogger(__name__)

# Seconds without a full cycle after which a loop counts as late.
EXPECTED_LOOPS: Mapping[str, int] = MappingProxyType(
    {
        "monitors.probe": 30,
        "monitors.watch": 60,
        "monitors.judge": 60,
        "monitors.roll_up": 300,
        "notifications.deliver": 30,
        "notifications.ask": 120,
        "incidents.advance": 60,
        "monitors.drill": 60,
        "incidents.audit": 300,
        "incidents.expect": 600,
        "incidents.on_call": 300,
        "incidents.import_calendars": 2700,
        "incidents.publish_shifts": 900,
        "incidents.remind": 3 * 3600,
        "telemetry.keep_house": 3 * 3600,
        "kpis.collect": 60,
        "kpis.backfill": 60,
        "kpis.keep_house": 3 * 3600,
        "kpis.digest": 300,
        "checklists.verify": 300,
        "checklists.keep_chain": 900,
        "checklists.keep_house": 900,
        "monitors.keep_house": 3 * 3600,
        "notifications.keep_house": 3 * 3600,
    }
)
DEADLINE_S = 5.0

_process_began_at = timezone.now()
_only_one = threading.Lock()
_pending: Future[Readiness] | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """What stands in the way of work; nothing when ready."""

    # In words, empty when the database answers.
    database_error: str = ""
    unapplied_migrations: tuple[str, ...] = ()
    late_loops: tuple[LateLoop, ...] = field(default=())

    @property
    def is_ready(self) -> bool:
        """Whether nothing stands in the way."""
        return not (self.database_error or self.unapplied_migrations or self.late_loops)


def readiness(*, now: datetime, deadline_s: float = DEADLINE_S) -> Readiness:
    """Return what stands in the way of work, within `deadline_s` seconds. No errors.

    While an earlier question still hangs, no second one is asked.
    """
    global _pending
    with _only_one:
        if _pending is None or _pending.done():
            _pending = _ask_aside(now)
        asked = _pending
    try:
        return asked.result(timeout=deadline_s)
    except TookTooLong:
        return Readiness(database_error=f"no answer within {deadline_s:g} s")


def _ask_aside(now: datetime) -> Future[Readiness]:
    """Ask from a thread that nobody waits for, not even the end of the process."""
    answer: Future[Readiness] = Future()
    threading.Thread(
        target=lambda: answer.set_result(_ask(now)), name="ready", daemon=True
    ).start()
    return answer


def _ask(now: datetime) -> Readiness:
    try:
        unapplied = _unapplied_migrations()
        if unapplied:
            # The tables that the rest asks may not be there yet.
            return Readiness(unapplied_migrations=unapplied)
        return Readiness(late_loops=tuple(overdue_loops(now=now)))
    except DatabaseError as error:
        logger.warning("the database does not answer: %s", error)
        return Readiness(database_error=type(error).__name__)
    except Exception as error:
        logger.exception("the portal could not ask itself")
        return Readiness(database_error=type(error).__name__)
    finally:
        connections.close_all()


def _unapplied_migrations() -> tuple[str, ...]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return tuple(f"{migration.app_label}.{migration.name}" for migration, _ in plan)


def overdue_loops(
    *,
    now: datetime,
    expected: Mapping[str, int] = EXPECTED_LOOPS,
    process_began_at: datetime | None = None,
) -> list[LateLoop]:
    """Name the loops whose last full cycle is older than their bound.

    One that never came round has its bound of time to do so, counted from the earliest
    moment at which the portal is known to have run: the start of this process, or the
    oldest cycle noted by another loop. A fresh installation is thus not late at once,
    and a web process that is often replaced can't hide a loop that never runs.
    """
    late = late_loops(expected=dict(expected), now=now)
    if all(loop.completed_at is not None for loop in late):
        return late
    cycles = LoopCycle.objects.filter(name__in=expected)
    known = [process_began_at or _process_began_at]
    known.extend(cycles.values_list("completed_at", flat=True))
    up_since = min(known)
    return [
        loop
        for loop in late
        if loop.completed_at is not None
        or up_since < now - timedelta(seconds=loop.bound_s)
    ]
