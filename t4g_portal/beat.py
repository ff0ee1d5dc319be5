"""Sends the ticks: Celery's beat without the apps and without its busy waiting."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

from celery import beat
from celery.apps.beat import Beat
from django.conf import settings

from t4g_portal.celery import app


class TickScheduler(beat.PersistentScheduler):
    """Sleeps until an entry is due, and ends at any moment.

    Celery wakes up 10 ms early and then spins until it is time, which costs one
    percent of a core when something is due every second.
    """

    _is_stopping = False
    _is_on_file = False

    def adjust(self, n: float, drift: float = 0.0) -> float:
        """Return the seconds to sleep, with nothing taken off."""
        return n + drift if n > 0 else n

    def stop(self) -> None:
        """End now, be it sleeping, sending or waiting for the broker.

        For a signal's handler, so nothing is closed here: what it interrupts may be
        using it. The file of the schedule is written to its end first.
        """
        if self._is_stopping:
            return
        self._is_stopping = True
        if not self._is_on_file:
            raise SystemExit

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send the next entry, unless asked to end while nothing could be let go."""
        if self._is_stopping:
            raise SystemExit
        return float(super().tick(*args, **kwargs))

    def setup_schedule(self) -> None:
        """Read the file."""
        with self._on_file():
            super().setup_schedule()

    def sync(self) -> None:
        """Write the file."""
        with self._on_file():
            super().sync()

    def close(self) -> None:
        """Write the file and let go of it and of the broker."""
        with self._on_file():
            super().close()

    @contextmanager
    def _on_file(self) -> Iterator[None]:
        was_on_file, self._is_on_file = self._is_on_file, True
        try:
            yield
        finally:
            self._is_on_file = was_on_file


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
    # Its schedule file stands there.
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    scheduler = f"t4g_portal.beat:{TickScheduler.__name__}"
    TickBeat(app=app, scheduler_cls=scheduler, loglevel="WARNING", quiet=True).run()


if __name__ == "__main__":
    main()
