"""Keeps one fault that returns each second from filling the log."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError

EVERY_S = 60.0
# Silent for so long, and the next one is news: it has its traceback again.
FORGOTTEN_AFTER_S = 300.0
MAX_FAULTS = 500


@dataclass(slots=True)
class _Fault:
    """One fault in one place: when it was told last, and how often it came since."""

    told_at: float
    seen_at: float
    count: int = 0


class RepeatFilter(logging.Filter):
    """Lets the first of a kind through whole; then a line a minute with the count.

    Only what carries a traceback is held back. Of a database that is away, the same
    words in the same place count as one fault, whatever number they name.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self._faults: OrderedDict[tuple[object, ...], _Fault] = OrderedDict()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the record; a repeated one loses its traceback."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        now = time.monotonic()
        with self._lock:
            told = self._look_up(_kind(record, error), now)
            if told is None:
                return True
            told.count += 1
            told.seen_at = now
            if now - told.told_at < EVERY_S:
                return False
            count, since_s = told.count, now - told.told_at
            told.told_at, told.count = now, 0
        record.msg = (
            f"{record.getMessage()} (again, {count} times in {since_s:.0f} s): "
            f"{type(error).__name__}: {error}"
        )
        record.args = None
        record.exc_info = record.exc_text = None
        return True

    def _look_up(self, kind: tuple[object, ...], now: float) -> _Fault | None:
        """Return the fault when it is an old one; remember it when it is new."""
        fault = self._faults.pop(kind, None)
        is_old = fault is not None and now - fault.seen_at < FORGOTTEN_AFTER_S
        self._faults[kind] = fault if fault and is_old else _Fault(now, now)
        if len(self._faults) > MAX_FAULTS:
            self._faults.popitem(last=False)
        return fault if is_old else None


def _kind(record: logging.LogRecord, error: BaseException) -> tuple[object, ...]:
    values = record.args if isinstance(record.args, tuple) else ()
    if isinstance(error, OperationalError | InterfaceError):
        values = tuple(value for value in values if isinstance(value, str))
    return (record.name, str(record.msg), type(error), *map(str, values))
