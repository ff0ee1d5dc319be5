"""Are *we* online? Asked when a probe fails, before the target is blamed.

Pure of the ORM: runs on the engine's loop against the control targets it was given.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from t4g_portal.lib import egress

logger = logging.getLogger(__name__)

_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Control:
    """A host and TCP port that answers whenever our own network works."""

    host: str
    port: int


class Connectivity:
    """Knows whether any control target answers; one question at a time."""

    def __init__(self, *, fresh_s: float = 5.0) -> None:
        """`fresh_s`: how long an answer holds before it is asked again."""
        self._fresh_s = fresh_s
        self._controls: tuple[Control, ...] = ()
        self._is_online = True
        self._asked_at = float("-inf")
        self._question: asyncio.Task[bool] | None = None
        # Wall clock of the last change to offline; None while online.
        self.blind_since: float | None = None

    def set_controls(self, controls: tuple[Control, ...]) -> None:
        """Use these from now on; none at all means that we trust our network."""
        if controls != self._controls:
            self._controls = controls
            self._asked_at = float("-inf")

    @property
    def is_blind(self) -> bool:
        """What the last question found."""
        return not self._is_online

    async def is_online(self, *, since: float = float("-inf")) -> bool:
        """Return whether any control target answers, asking when the answer is old.

        One from before `since` (monotonic seconds) is too old, too.
        """
        if not self._controls:
            self._set(True)
            return True
        is_fresh = time.monotonic() - self._asked_at <= self._fresh_s
        if is_fresh and self._asked_at >= since:
            return self._is_online
        if self._question is None:
            self._question = asyncio.create_task(self._ask())
        return await asyncio.shield(self._question)

    async def _ask(self) -> bool:
        try:
            attempts = {
                asyncio.create_task(_answers(control)) for control in self._controls
            }
            is_online = False
            while attempts and not is_online:
                done, attempts = await asyncio.wait(
                    attempts, return_when=asyncio.FIRST_COMPLETED
                )
                is_online = any(task.result() for task in done)
            for task in attempts:
                task.cancel()
            self._set(is_online)
            return is_online
        finally:
            self._asked_at = time.monotonic()
            self._question = None

    def _set(self, is_online: bool) -> None:
        if is_online != self._is_online:
            logger.warning(
                "own network %s: results of failing probes are %s",
                "is back" if is_online else "is gone",
                "counted again" if is_online else "unknown",
            )
        self._is_online = is_online
        if is_online:
            self.blind_since = None
        elif self.blind_since is None:
            self.blind_since = time.time()


async def _answers(control: Control) -> bool:
    """Return whether the control target accepts a connection in time."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            stream = await egress.open_connection(
                host=control.host, port=control.port, may_use_private=True
            )
    except egress.BlockedAddress:
        logger.warning("control target %s is not allowed by egress rules", control.host)
        return False
    except (egress.UnableToResolve, OSError, TimeoutError):
        return False
    stream.abort()
    return True
