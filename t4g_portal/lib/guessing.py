"""Counts attempts at a secret, so that guessing it is slow. Nobody waits inside a request.

An attempt is counted before the secret is looked at: a thousand at once are no way around.
Who uses it says what is counted (an account, an address) and at which pace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.crypto import salted_hmac

from t4g_portal.lib.models import AttemptCounter

# Without an attempt for so long, a counter begins anew.
FORGOTTEN_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Pace:
    """So many attempts at once; then a wait that doubles, up to the longest."""

    free_count: int
    first_wait_s: int
    longest_wait_s: int


class UnableToTry(Exception):
    """It is too early for another attempt."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


_COUNT = """
INSERT INTO t4g_portal_signincounter AS known (key, count, last_at, open_at)
VALUES (%(key)s, 1, %(now)s, %(now)s)
ON CONFLICT (key) DO UPDATE SET
  count = CASE WHEN known.last_at < %(forgotten)s THEN 1 ELSE known.count + 1 END,
  last_at = %(now)s,
  open_at = %(now)s + make_interval(secs => CASE
    WHEN known.last_at < %(forgotten)s OR known.count + 1 < %(free)s THEN 0
    ELSE least(%(longest)s, %(first)s * power(2, least(known.count + 1 - %(free)s, 20)))
  END)
WHERE known.open_at <= %(now)s
RETURNING count
"""
_TAKE_BACK = """
UPDATE t4g_portal_signincounter SET count = greatest(count - 1, 0), open_at = %s
 WHERE key = ANY(%s)
"""


def count_attempt(paces: Mapping[str, Pace], *, now: datetime) -> None:
    """Count one attempt at every key; count none and raise UnableToTry if one is closed."""
    with transaction.atomic():
        waits = [_count(key, pace, now) for key, pace in paces.items()]
        if any(waits):
            transaction.set_rollback(True)
    if any(waits):
        raise UnableToTry(max(waits))


def take_back(keys: Sequence[str], *, now: datetime) -> None:
    """Uncount the attempt just made at `keys`, which was no guess."""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_BACK, [now, list(keys)])


def begin_anew(keys: Sequence[str], *, now: datetime) -> None:
    """Forget what was counted at `keys`, and counters that nobody needs any more."""
    AttemptCounter.objects.filter(key__in=keys).delete()
    AttemptCounter.objects.filter(last_at__lt=now - FORGOTTEN_AFTER).delete()


def key_of(kind: str, value: str, *, salt: str) -> str:
    """Return a key that tells no name and no address."""
    digest = salted_hmac(f"{salt}.{kind}", value, algorithm="sha256").hexdigest()
    return f"{kind}:{digest[:40]}"


def _count(key: str, pace: Pace, now: datetime) -> int:
    """Count an attempt; return the seconds to wait when there may be none."""
    values: dict[str, str | int | datetime] = {
        "key": key,
        "now": now,
        "forgotten": now - FORGOTTEN_AFTER,
        "free": pace.free_count,
        "first": pace.first_wait_s,
        "longest": pace.longest_wait_s,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        if cursor.fetchone():
            return 0
    open_at = AttemptCounter.objects.values_list("open_at", flat=True).get(key=key)
    return max(int((open_at - now).total_seconds() + 0.999), 1)
