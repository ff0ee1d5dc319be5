"""Timed loops: run one cycle, note that it came round, never let it raise.

A loop is a tick of Celery beat. Its message carries no data, so a lost one costs a
tick and a doubled one costs nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error as DatabaseError
from django.db import close_old_connections, connection
from django.db.models import Case, DateTimeField, F, Value, When
from django.utils import timezone

from t4g_portal.lib.models import LoopCycle

logger = logging.getLogger(__name__)

# A cycle a second need not be a write a second.
_WRITE_EVERY_S = 5.0
_written: dict[str, float] = {}
_running: dict[str, threading.Lock] = {}


@dataclass(frozen=True, slots=True)
class LateLoop:
    """A loop whose last full cycle is older than its bound."""

    name: str
    completed_at: datetime | None
    bound_s: int


def run_cycle(*, name: str, bound_s: int, cycle: Callable[[datetime], object]) -> bool:
    """Run one cycle of a loop with the present time; return whether it completed.

    `bound_s`: seconds without a completed cycle after which the loop counts as late.
    A cycle that is still running in this process is not started a second time. Errors
    are logged and kept on the loop's row; they never reach Celery, because the next
    tick is the retry.
    """
    with _only_one(name) as is_free:
        if not is_free:
            return False
        refresh_connection()
        try:
            started_at = timezone.now()
            cycle(started_at)
        except Exception as error:
            logger.exception("loop %s failed", name)
            _note_error(name, bound_s, error)
            return False
        _note_cycle(name, bound_s, started_at)
        return True


def awake_since(*, name: str, now: datetime) -> datetime | None:
    """Return when a loop came round again after it had been late, None if it never was.

    Inside its first cycle after a standstill that is `now`. What should have come in
    before was not missed by its sender: we were not there to take it.
    """
    row = LoopCycle.objects.filter(name=name).first()
    if row is None:
        return None
    if row.completed_at < now - timedelta(seconds=row.bound_s):
        return now
    return row.resumed_at


def refresh_connection() -> None:
    """Drop this thread's database connection if it is broken or too old.

    Long-lived threads call it before each piece of work: no request does it for them.
    """
    if not connection.in_atomic_block:
        close_old_connections()


@contextmanager
def _only_one(name: str) -> Iterator[bool]:
    lock = _running.setdefault(name, threading.Lock())
    is_free = lock.acquire(blocking=False)
    try:
        yield is_free
    finally:
        if is_free:
            lock.release()


def _note_cycle(name: str, bound_s: int, started_at: datetime) -> None:
    now = time.monotonic()
    if now - _written.get(name, -_WRITE_EVERY_S) < min(_WRITE_EVERY_S, bound_s / 4):
        return
    try:
        late_before = started_at - timedelta(seconds=bound_s)
        LoopCycle.objects.update_or_create(
            name=name,
            defaults={
                "completed_at": timezone.now(),
                "bound_s": bound_s,
                "resumed_at": Case(
                    When(completed_at__lt=late_before, then=Value(started_at)),
                    default=F("resumed_at"),
                    output_field=DateTimeField(),
                ),
            },
            create_defaults={"completed_at": timezone.now(), "bound_s": bound_s},
        )
        _written[name] = now
    except DatabaseError:
        logger.exception("loop %s could not note its cycle", name)


def _note_error(name: str, bound_s: int, error: Exception) -> None:
    try:
        now = timezone.now()
        LoopCycle.objects.update_or_create(
            name=name,
            defaults={
                "last_error": f"{type(error).__name__}: {error}"[:500],
                "last_error_at": now,
            },
            create_defaults={
                # Never came round: late from the start, until a cycle completes.
                "completed_at": now - timedelta(seconds=bound_s),
                "bound_s": bound_s,
                "last_error": f"{type(error).__name__}: {error}"[:500],
                "last_error_at": now,
            },
        )
    except DatabaseError:
        logger.exception("loop %s could not note its error", name)


def late_among(*, names: Collection[str], now: datetime) -> list[str]:
    """Name those of some loops that came round once and are late by their own bound."""
    rows = LoopCycle.objects.filter(name__in=names).order_by("name")
    return [
        row.name
        for row in rows
        if row.completed_at < now - timedelta(seconds=row.bound_s)
    ]


def late_loops(*, expected: dict[str, int], now: datetime) -> list[LateLoop]:
    """Name the loops, of those expected (name → bound in seconds), that are late."""
    rows = {row.name: row for row in LoopCycle.objects.filter(name__in=expected)}
    late = []
    for name, bound_s in expected.items():
        row = rows.get(name)
        if row is None or row.completed_at < now - timedelta(seconds=bound_s):
            completed_at = row.completed_at if row else None
            late.append(LateLoop(name=name, completed_at=completed_at, bound_s=bound_s))
    return late
