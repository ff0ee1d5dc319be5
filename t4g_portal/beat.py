"""Sends the ticks: Celery's beat without the apps and without its busy waiting."""

from __future__ import annotations

import signal
import time
from datetime import timedelta
from types import FrameType
from typing import Any, cast

from celery import beat
from celery.apps.beat import Beat
from django.conf import settings

from t4g_portal.celery import app

# Touched every three minutes.
ALIVE_FILE = "beat-alive"
# What comes seldom comes first so long after the start.
_AT_FIRST = timedelta(seconds=60)
# A clock that is slowed down or corrected by less delays nothing that matters.
_SET_BACK_S = 1.0


class TickScheduler(beat.Scheduler):
    """Sleeps until an entry is due, and ends at any moment.

    Nothing is kept from one start to the next: what is due stands in the database, so
    an entry may come too often, and two beats share no file that one could break.
    Celery wakes up 10 ms early and then spins until it is time, which costs one
    percent of a core when something is due every second.
    """

    _is_stopping = False
    _ticked_at = 0.0

    def setup_schedule(self) -> None:
        """Have every entry due within a minute: an hourly one needs no quiet hour."""
        super().setup_schedule()
        self._begin_anew()

    def _begin_anew(self) -> None:
        for entry in self.schedule.values():
            every = cast(Any, entry.schedule).run_every
            rest = max(every - _AT_FIRST, timedelta())
            entry.last_run_at = entry.default_now() - rest
        # Celery's queue of what comes when; it is made again from the entries.
        self._heap = None

    def adjust(self, n: float, drift: float = 0.0) -> float:
        """Return the seconds to sleep, with nothing taken off."""
        return n + drift if n > 0 else n

    def stop(self) -> None:
        """End now, be it sleeping, sending or waiting for the broker.

        For a signal's handler, so nothing is closed here: what it interrupts may be
        using it.
        """
        if self._is_stopping:
            return
        self._is_stopping = True
        raise SystemExit

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send the next entry, unless the request to end was lost in what it broke off.

        When the clock was set back, entries would wait until it has caught up.
        """
        if self._is_stopping:
            raise SystemExit
        before, self._ticked_at = self._ticked_at, time.time()
        if self._ticked_at < before - _SET_BACK_S:
            self._begin_anew()
        return float(super().tick(*args, **kwargs))

    def sync(self) -> None:
        """Leave a sign of life, which a container's health check looks at."""
        (settings.DATA_DIR / ALIVE_FILE).touch()


class TickBeat(Beat):
    """Knows the tasks by name only: importing them would double its memory."""

    def init_loader(self) -> None:
        """Read the settings, import no task."""
        app.finalize()

    def install_sync_handler(self, service: beat.Service) -> None:
        """Have SIGTERM and SIGINT end the scheduler.

        Celery's handler closes file and broker under the feet of what it interrupts,
        whose own complaint of that then hides the request to end.
        """
        scheduler = cast("TickScheduler", service.scheduler)

        def stop(_number: int, _frame: FrameType | None) -> None:
            scheduler.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)


def main() -> None:
    """Send ticks until SIGTERM."""
    # Its sign of life stands there.
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    scheduler = f"t4g_portal.beat:{TickScheduler.__name__}"
    TickBeat(app=app, scheduler_cls=scheduler, loglevel="WARNING", quiet=True).run()


if __name__ == "__main__":
    main()
