"""Takes in heartbeats: one statement a ping, stored before it is answered.

The tick in `monitors.heartbeats.outcomes` makes outcomes of them; here nothing is judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from monitors.models import HeartbeatPing

MAX_BODY_BYTES = 10_000
# So many pings at once, and then so many a second, of one key: far more than the
# fastest heartbeat (every 10 s, with start and finish) needs.
BURST = 60
PER_SECOND = 10.0
_LONGEST_KEY = 40

_INSERT = """
INSERT INTO monitors_heartbeatping (monitor_id, at, kind, exit_code, body, is_handled)
SELECT id, %s, %s, %s, %s, false FROM monitors_monitor
 WHERE ping_key = %s AND kind = 'heartbeat'
"""


@dataclass(frozen=True, slots=True)
class Signal:
    """What a ping says, by the end of its address."""

    kind: str
    exit_code: int | None = None


def signal_of(action: str) -> Signal | None:
    """Return what `start`, `fail`, an exit code or nothing says; None: no such thing."""
    match action:
        case "":
            return Signal(HeartbeatPing.Kind.SUCCESS)
        case "start":
            return Signal(HeartbeatPing.Kind.START)
        case "fail":
            return Signal(HeartbeatPing.Kind.FAIL)
    if len(action) > 3 or not action.isascii() or not action.isdigit():
        return None
    exit_code = int(action)
    if exit_code > 255:
        return None
    kind = HeartbeatPing.Kind.FAIL if exit_code else HeartbeatPing.Kind.SUCCESS
    return Signal(kind, exit_code)


def accept(*, ping_key: str, signal: Signal, body: bytes, now: datetime) -> bool:
    """Store a ping; return False when no heartbeat has that key.

    A monitor that is paused accepts it too, and makes nothing of it. Of the body the
    first `MAX_BODY_BYTES` are kept, as text. Raises the database's errors.
    """
    if len(ping_key) > _LONGEST_KEY or "\0" in ping_key:
        return False
    text = body[:MAX_BODY_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [now, signal.kind, signal.exit_code, text, ping_key])
        return bool(cursor.rowcount)
