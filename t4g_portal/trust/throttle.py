"""Slows down who guesses passwords, without locking out whom they guess at.

After OWASP's device cookies: a browser that has signed in as somebody before has a
counter of its own. Whatever strangers do to the account slows down strangers only. An
attempt is counted before the password is looked at, so a thousand at once are no way
around. Nobody waits inside a request.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils.crypto import salted_hmac

from t4g_portal.models import SignInCounter

_SALT = "t4g_portal.trust.throttle"


@dataclass(frozen=True, slots=True)
class Pace:
    """So many attempts at once; then a wait that doubles, up to the longest."""

    free_count: int
    first_wait_s: int
    longest_wait_s: int


# By a browser that knows the account: the owner who has forgotten the password.
DEVICE = Pace(free_count=10, first_wait_s=15, longest_wait_s=300)
# At one account, by everybody else together.
ACCOUNT = Pace(free_count=5, first_wait_s=30, longest_wait_s=900)
# By one address, at any account: an office has one address for all.
ADDRESS = Pace(free_count=20, first_wait_s=30, longest_wait_s=900)
# Without an attempt for so long, a counter begins anew.
FORGOTTEN_AFTER = timedelta(hours=24)


class UnableToTry(Exception):
    """It is too early for another attempt."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that may go on, counted as a failure until it is not one."""

    account: str
    keys: tuple[str, ...]
    is_known_device: bool

    def succeeded(self, *, now: datetime) -> None:
        """Take the failure back, and forget counters that nobody needs any more."""
        own = [key for key in self.keys if not key.startswith("address:")]
        SignInCounter.objects.filter(key__in=own).delete()
        with connection.cursor() as cursor:
            cursor.execute(_TAKE_BACK, [now, list(self.keys)])
        SignInCounter.objects.filter(last_at__lt=now - FORGOTTEN_AFTER).delete()


_TAKE_BACK = """
UPDATE t4g_portal_signincounter SET count = greatest(count - 1, 0), open_at = %s
 WHERE key = ANY(%s)
"""
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


def account_of(username: str) -> str:
    """Return what stands for a name, whoever typed it however; it tells no name."""
    folded = unicodedata.normalize("NFKC", username).strip().casefold()
    return _digest("account", folded)


def begin(
    *, account: str, devices: dict[str, str], network: str, now: datetime
) -> Attempt:
    """Count an attempt to sign in; raise UnableToTry when it is too early.

    `devices`: account → number, of the browser's cookie; `network`: where it comes
    from, "" when unknown. A name that nobody has is counted like any other.
    """
    device = devices.get(account)
    counters: Sequence[tuple[str, Pace]] = (
        [(f"device:{_digest('device', account + device)}", DEVICE)]
        if device
        else [
            *([(f"address:{_digest('address', network)}", ADDRESS)] if network else []),
            (f"account:{account}", ACCOUNT),
        ]
    )
    with transaction.atomic():
        waits = [_count(key, pace, now) for key, pace in counters]
        if any(waits):
            transaction.set_rollback(True)
    if any(waits):
        raise UnableToTry(max(waits))
    return Attempt(
        account=account,
        keys=tuple(key for key, _ in counters),
        is_known_device=bool(device),
    )


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
    open_at = SignInCounter.objects.values_list("open_at", flat=True).get(key=key)
    return max(int((open_at - now).total_seconds() + 0.999), 1)


def _digest(kind: str, value: str) -> str:
    return salted_hmac(f"{_SALT}.{kind}", value, algorithm="sha256").hexdigest()[:40]
