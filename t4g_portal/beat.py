"""Sends the ticks: Celery's beat without the apps and without its busy waiting."""

from __future__ import annotations

from celery.apps.beat import Beat
from celery.beat import PersistentScheduler
from django.conf import settings

from t4g_portal.celery import app


class TickScheduler(PersistentScheduler):
    """Sleeps until an entry is due.

    Celery wakes up 10 ms early and then spins until it is time, which costs one
    percent of a core when something is due every second.
    """

    def adjust(self, n: float, drift: float = 0.0) -> float:
        """Return the seconds to sleep, with nothing taken off."""
        return n + drift if n > 0 else n


class TickBeat(Beat):
    """Knows the tasks by name only: importing them would double its memory."""

    def init_loader(self) -> None:
        """Read the settings, import no task."""
        app.finalize()


def main() -> None:
    """Send ticks until SIGTERM."""
    # Its schedule file stands there.
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    scheduler = f"t4g_portal.beat:{TickScheduler.__name__}"
    TickBeat(app=app, scheduler_cls=scheduler, loglevel="WARNING", quiet=True).run()


if __name__ == "__main__":
    main()
