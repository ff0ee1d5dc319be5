"""A process that works for the portal and kills itself at a chosen point.

`python -m tests.faults.dying POINT`: as the kernel's OOM killer would, in between two
statements, every time at the same place.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import django


def die(*_args: Any, **_values: Any) -> Any:
    """End this process without a chance to say goodbye."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(act: Callable[..., Any]) -> Callable[..., Any]:
    """Return the act with a death right after it."""

    def then_die(*args: Any, **values: Any) -> Any:
        act(*args, **values)
        die()

    return then_die


def _deliver(**patched: Callable[..., Any]) -> None:
    from django.utils import timezone

    from notifications import delivery

    for name, replacement in patched.items():
        setattr(delivery, name, replacement)
    delivery.deliver_due(now=timezone.now())


def _claimed() -> None:
    _deliver(prepare=die)


def _looked_again() -> None:
    _deliver(send=die)


def _sent() -> None:
    from notifications.letters import send

    _deliver(send=after(send))


def _recording() -> None:
    _deliver(record=die)


def _recorded() -> None:
    from notifications.recording import record

    _deliver(record=after(record))


def _stepping() -> None:
    """The engine dies with the outbox rows written and the incident not saved."""
    from django.utils import timezone

    from incidents.advancing import advance_due
    from incidents.desk import Desk

    Desk.clear = after(Desk.clear)  # type: ignore[method-assign]
    advance_due(now=timezone.now())


def _stepped() -> None:
    """The engine dies after it has committed one incident's step, at the next one."""
    from django.utils import timezone

    from incidents import advancing

    advance: Any = advancing._advance
    taken: list[Any] = []

    def second_dies(*args: Any, **values: Any) -> None:
        if taken:
            die()
        taken.append(args)
        advance(*args, **values)

    advancing._advance = second_dies
    advancing.advance_due(now=timezone.now())


def _told_to_end() -> None:
    """A worker as in production whose one task delivers; it ends by SIGTERM alone."""
    from t4g_portal.celery import app

    app.conf.update(broker_url="memory://", worker_enable_remote_control=False)
    app.finalize()
    app.send_task("notifications.tasks.deliver", queue="paging")
    app.worker_main(["worker", "--pool=threads", "--concurrency=2", "--queues=paging"])


POINTS: dict[str, Callable[[], None]] = {
    "claimed": _claimed,
    "looked-again": _looked_again,
    "sent": _sent,
    "recording": _recording,
    "recorded": _recorded,
    "stepping": _stepping,
    "stepped": _stepped,
    "told-to-end": _told_to_end,
}

if __name__ == "__main__":
    django.setup()
    POINTS[sys.argv[1]]()
