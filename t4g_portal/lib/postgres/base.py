"""The database backend, as Django finds it by its path."""

from __future__ import annotations

import select
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Looks at the socket before it asks the server whether a connection still lives.

    Django sends `SELECT 1` before the first query of each request: an eighth of a small
    API request. A server that has gone has closed its end, which makes the socket
    readable; only then is the question worth asking. One that is gone without a word
    answers neither, and `tcp_user_timeout` ends that.
    """

    def close_if_health_check_failed(self) -> None:
        """Replace a connection that has gone while nobody used it."""
        if _is_quiet(self.connection):
            self.health_check_done = True
        super().close_if_health_check_failed()


def _is_quiet(connection: Any) -> bool:
    """Whether a connection is open and the server has said nothing on it."""
    if connection is None or connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)
    return not poll.poll(0)
