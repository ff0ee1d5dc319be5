"""How often something happened lately, over all web processes when there is Redis.

While Redis is away each process counts for itself: a limit is then as wide as there are
processes, and no request waits or fails because of it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from functools import lru_cache

import redis
from django.conf import settings

logger = logging.getLogger(__name__)

# How long nobody asks a Redis that did not answer.
_AWAY_S = 5.0
# So many counters at once; more are an attack, and the oldest are forgotten.
_MAX_COUNTERS = 50_000


@dataclass(frozen=True, slots=True)
class Count:
    """How often within the present window, this time included; and its end."""

    count: int
    ends_in_s: float


class _Memory:
    """Counts of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def count(self, name: str) -> int:
        with self._lock:
            if name not in self._counts and len(self._counts) >= _MAX_COUNTERS:
                # In order of insertion, so what goes is of an older window.
                del self._counts[next(iter(self._counts))]
            self._counts[name] = self._counts.get(name, 0) + 1
            return self._counts[name]


class _Shared:
    """Counts in Redis, and of this process while Redis is away."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=0.25, socket_connect_timeout=0.25
        )
        self._memory = _Memory()
        self._away_until = 0.0

    def count(self, name: str, window_s: int) -> int:
        if time.monotonic() < self._away_until:
            return self._memory.count(name)
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.incr(f"t4g:count:{name}")
                pipe.expire(f"t4g:count:{name}", window_s + 1)
                return int(pipe.execute()[0])
        except redis.RedisError as error:
            self._away_until = time.monotonic() + _AWAY_S
            logger.warning("counting without Redis: %s", error)
            return self._memory.count(name)


_memory = _Memory()


def count(name: str, *, window_s: int) -> Count:
    """Count one more of `name` in its present window of `window_s` seconds."""
    moment = time.time()
    window = int(moment // window_s)
    key = f"{name}:{window}"
    shared = _shared(settings.REDIS_URL)
    found = shared.count(key, window_s) if shared else _memory.count(key)
    return Count(count=found, ends_in_s=(window + 1) * window_s - moment)


@lru_cache(maxsize=2)
def _shared(url: str) -> _Shared | None:
    return _Shared(url) if url else None
