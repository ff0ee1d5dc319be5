"""The threads of this process that read sources, one a source."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connections

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]


class Readers:
    """A bounded number of threads, which nobody waits for, not even the process."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._lock = threading.Lock()
        self._count = 0
        self._stopping = threading.Event()

    @property
    def free(self) -> int:
        """How many more may start; none once the process ends."""
        with self._lock:
            return 0 if self.is_stopping else max(0, self._at_most - self._count)

    @property
    def is_stopping(self) -> bool:
        """Whether to end after what is being read."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Let the threads end after what they are reading."""
        self._stopping.set()

    def start(self, work: Callable[[], object]) -> threading.Thread:
        """Do some work in a thread; what it raises is logged."""
        with self._lock:
            self._count += 1
        thread = threading.Thread(target=self._run, args=[work], daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The machine has no room for a thread; the place is for the next tick.
            self._leave()
            raise
        return thread

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            # Its lease ends, and the next tick is the retry.
            logger.exception("a reader of KPIs failed")
        finally:
            connections.close_all()
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._count -= 1


def clock_from(now: datetime) -> Clock:
    """Return the caller's present, moving on with real time."""
    started = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - started)
