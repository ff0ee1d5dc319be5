"""How often somebody may ask, in this process's memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

# Keys remembered by default; the one that was silent longest is forgotten first.
MAX_KEYS = 20_000


class RateLimit:
    """A bucket of tokens for each key: `burst` at once, then `per_second`."""

    def __init__(
        self, *, burst: int, per_second: float, max_keys: int = MAX_KEYS
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._max_keys = max_keys
        # Key → (tokens, when they were counted).
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, key: str, *, at: float | None = None) -> bool:
        """Take a token; False when there is none. `at`: monotonic seconds."""
        at = time.monotonic() if at is None else at
        with self._lock:
            tokens, counted_at = self._buckets.pop(key, (float(self._burst), at))
            tokens = min(tokens + (at - counted_at) * self._per_second, self._burst)
            is_allowed = tokens >= 1
            self._buckets[key] = (tokens - 1 if is_allowed else tokens, at)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
            return is_allowed
