"""The broker of a copy without Redis: kombu's directory of messages, made safe.

kombu's own lets a reader take a message that is still being written, which ends the
worker, lets a worker wait four seconds before it notices that it shall stop, and sends
nothing any more once somebody has deleted its directories.
"""

from __future__ import annotations

import time
import uuid
from json import JSONDecodeError
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads

# Celery looks for a request to stop between two waits, and waits twice.
WAIT_LIMIT_S = 0.4


class Channel(filesystem.Channel):
    """One file a message; it appears complete and is taken by one reader only."""

    def get_table(self, exchange: str) -> list[Any]:
        """Return what hangs on an exchange: Celery's queues, each on that of its name.

        kombu keeps that in a file, which can be lost.
        """
        return [filesystem.exchange_queue_t(exchange, "", exchange)]

    def _queue_bind(self, *args: Any) -> None:
        """Keep nothing: `get_table` knows."""

    def _put(  # type: ignore[override]  # kombu's two base classes disagree
        self, queue: str, payload: Any, **kwargs: Any
    ) -> None:
        folder = Path(self.data_folder_out)
        # The order of names is the order of messages.
        name = f"{time.monotonic_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        draft = folder / f"{name}.draft"
        content = str_to_bytes(dumps(payload))
        try:
            draft.write_bytes(content)
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
        draft.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for path in self._waiting(queue):
            taken = path.with_name(f"{path.name}.taken")
            try:
                path.rename(taken)
            except FileNotFoundError:
                continue  # another worker was quicker
            content = taken.read_bytes()
            taken.unlink()
            try:
                return loads(bytes_to_str(content))
            except JSONDecodeError:
                continue  # a full disk; the next tick does the work
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._waiting(queue))

    def _waiting(self, queue: str) -> list[Path]:
        """Return a queue's messages in their order."""
        wanted = f"{queue}.msg"
        try:
            paths = list(Path(self.data_folder_in).iterdir())
        except FileNotFoundError:
            # Whoever writes next makes it again.
            return []
        return sorted(path for path in paths if path.name.partition(".")[2] == wanted)


class Transport(filesystem.Transport):
    """For `CELERY_BROKER_TRANSPORT`, with the options of kombu's file system transport."""

    Channel = Channel

    def drain_events(
        self, connection: Any, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Deliver one message, or raise TimeoutError after a short wait."""
        wait_s = min(timeout or WAIT_LIMIT_S, WAIT_LIMIT_S)
        super().drain_events(connection, timeout=wait_s, **kwargs)
