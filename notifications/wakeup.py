"""A hint to the paging worker that something is due, so that a page needs no tick."""

from __future__ import annotations

import logging
import time

from celery import current_app
from django.db import connection, transaction

logger = logging.getLogger(__name__)

# The tick comes every 2 s anyway; an older hint is worth nothing. Hosts' clocks may
# differ by less than that.
_EXPIRES_S = 10
# Whoever has just committed waits for the broker: briefly, once, and not again soon
# when it is away. Celery's own connection would try for 6 s.
_BROKER_TIMEOUT_S = 1
_PAUSE_S = 30.0
_IMPATIENT = {
    "max_retries": 0,
    "socket_timeout": _BROKER_TIMEOUT_S,
    "socket_connect_timeout": _BROKER_TIMEOUT_S,
}
_paused_until = 0.0


def wake_up_on_commit() -> None:
    """Send one hint for this transaction once it has committed; never raises."""
    is_asked = any(entry[1] is _wake_up for entry in connection.run_on_commit)
    if not is_asked:
        transaction.on_commit(_wake_up)


def _wake_up() -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        with current_app.connection_for_write() as broker:
            broker.transport_options = {
                **(broker.transport_options or {}),
                **_IMPATIENT,
            }
            current_app.send_task(
                "notifications.tasks.deliver",
                queue="paging",
                expires=_EXPIRES_S,
                ignore_result=True,
                retry=False,
                connection=broker,
            )
    except Exception as error:  # noqa: BLE001 the broker's edge; the tick delivers
        _paused_until = time.monotonic() + _PAUSE_S
        logger.warning("no wake-up sent, the tick will deliver: %s", type(error))
