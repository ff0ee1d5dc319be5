"""The broker of a copy without Redis: kombu's directory of messages, made safe.

kombu's own lets a reader take a message that is still being written, which ends the
worker, and lets a worker wait four seconds before it notices that it shall stop.
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

    def _put(  # type: ignore[override]  # kombu's two base classes disagree
        self, queue: str, payload: Any, **kwargs: Any
    ) -> None:
        folder = Path(self.data_folder_out)
        # The order of names is the order of messages.
        name = f"{time.monotonic_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        draft = folder / f"{name}.draft"
        draft.write_bytes(str_to_bytes(dumps(payload)))
        draft.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        wanted = f"{queue}.msg"
        paths = Path(self.data_folder_in).iterdir()
        for path in sorted(p for p in paths if p.name.partition(".")[2] == wanted):
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


class Transport(filesystem.Transport):
    """For `CELERY_BROKER_TRANSPORT`, with the options of kombu's file system transport."""

    Channel = Channel

    def drain_events(
        self, connection: Any, timeout: float | None = None, **kwargs: Any
    ) -> None:
        """Deliver one message, or raise TimeoutError after a short wait."""
        wait_s = min(timeout or WAIT_LIMIT_S, WAIT_LIMIT_S)
        super().drain_events(connection, timeout=wait_s, **kwargs)
