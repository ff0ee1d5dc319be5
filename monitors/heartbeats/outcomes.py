"""From pings and deadlines to outcomes: what a heartbeat says, and when it is missed.

A miss counts from its exact deadline. A ping that may have been lost because we
ourselves were away is nobody's miss: then the next one is waited for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from django.conf import settings
from django.db import connection
from django.utils.translation import pgettext

from monitors.models import HeartbeatPing, LocationState
from monitors.probes import heartbeat, registry
from monitors.probes.base import Outcome, Reason, UnableToParse
from monitors.probes.heartbeat import HeartbeatOptions
from monitors.probes.texts import one_line
from monitors.status import Status
from t4g_portal.lib.wording import duration

_AT_ONCE = 5_000
# A run that took longer was rather started twice and finished once.
_LONGEST_RUN = timedelta(hours=72)
_LOCK = 5_412_004

_TAKE = """
SELECT p.id, p.monitor_id, p.at, p.kind, p.exit_code, p.body
  FROM monitors_heartbeatping p
 WHERE NOT p.is_handled
   AND EXISTS (SELECT FROM monitors_monitorstate st
                WHERE st.monitor_id = p.monitor_id)
 ORDER BY p.id
 LIMIT %s
"""
_LOAD = """
SELECT m.id, m.kind = 'heartbeat' AND m.is_enabled, m.options::text,
       st.confirmed, st.confirmed_since, st.last_result_at,
       st.last_ping_at, st.run_started_at, st.away_until
  FROM monitors_monitor m
  JOIN monitors_monitorstate st ON st.monitor_id = m.id
 WHERE m.kind = 'heartbeat' OR m.id = ANY(%s)
"""
# In the order of their keys, like everybody who locks states.
_LOCK_STATES = """
SELECT monitor_id FROM monitors_monitorstate WHERE monitor_id = ANY(%s)
 ORDER BY monitor_id FOR NO KEY UPDATE
"""
_SAVE = """
UPDATE monitors_monitorstate st
   SET last_ping_at = new.last_ping_at, run_started_at = new.run_started_at,
       away_until = new.away_until
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])
       AS new(monitor_id, last_ping_at, run_started_at, away_until)
 WHERE st.monitor_id = new.monitor_id
"""


@dataclass(frozen=True, slots=True)
class HeartbeatOutcome:
    """What a ping or a missed deadline says of its monitor.

    `outcome` is "passed" or "failed". `duration_ms` is known where the run had been
    announced. `deadline`: when the next ping must have come.
    """

    monitor_id: int
    at: datetime
    outcome: str
    reason: int
    message: str
    duration_ms: float | None
    deadline: datetime | None


@dataclass(frozen=True, slots=True)
class _Ping:
    monitor_id: int
    at: datetime
    kind: str
    exit_code: int | None
    body: str


@dataclass(frozen=True, slots=True)
class _Heart:
    """A heartbeat monitor as far as its pings matter."""

    monitor_id: int
    options: HeartbeatOptions
    confirmed: str
    confirmed_since: datetime
    last_result_at: datetime | None
    last_ping_at: datetime | None
    run_started_at: datetime | None
    away_until: datetime | None

    @property
    def deadline(self) -> datetime | None:
        """When it counts as missed; None before the first ping."""
        if self.last_ping_at is None:
            return None
        counts_from = max(self.last_ping_at, self.away_until or self.last_ping_at)
        return _deadline(self.options, counts_from)


def due_outcomes(*, now: datetime) -> list[HeartbeatOutcome]:
    """Take the pings that came in and the deadlines that passed, in order of time.

    Call it in the transaction that records the outcomes: the pings are marked as
    handled there, so none is lost and none counts twice. Of two callers at once the
    second gets nothing. Raises the database's errors.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        (is_free,) = cursor.fetchone()
        if not is_free:
            return []
        cursor.execute(_TAKE, [_AT_ONCE])
        taken = cursor.fetchall()
    pings = [_Ping(*row) for _id, *row in taken]
    before = _load({ping.monitor_id for ping in pings})
    hearts = _noting_our_absence(before, now)
    outcomes = _hear(hearts, pings) + _miss(hearts, now)
    changed = [heart for heart in hearts.values() if heart != before[heart.monitor_id]]
    _lock_states(
        {heart.monitor_id for heart in changed}
        | {outcome.monitor_id for outcome in outcomes}
    )
    _save(changed, [ping_id for ping_id, *_ in taken])
    return sorted(outcomes, key=lambda outcome: (outcome.at, outcome.monitor_id))


def _load(pinged: Iterable[int]) -> dict[int, _Heart]:
    """Return the enabled heartbeats that can be read; the others are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_LOAD, [list(pinged)])
        rows = cursor.fetchall()
    hearts = {}
    for monitor_id, is_awaited, raw, *values in rows:
        options = _options(raw) if is_awaited else None
        if options is not None:
            hearts[monitor_id] = _Heart(monitor_id, options, *values)
    return hearts


@lru_cache(maxsize=10_000)
def _options(raw: str) -> HeartbeatOptions | None:
    try:
        options = registry.parse_options("heartbeat", json.loads(raw))
    except (UnableToParse, ValueError):
        return None
    return options if isinstance(options, HeartbeatOptions) else None


@lru_cache(maxsize=10_000)
def _deadline(options: HeartbeatOptions, counts_from: datetime) -> datetime | None:
    return heartbeat.deadline(
        options=options, last_ping_at=counts_from, now=counts_from
    )


def _noting_our_absence(
    hearts: Mapping[int, _Heart], now: datetime
) -> dict[int, _Heart]:
    """Wait anew for every heartbeat that may have called while we were away.

    Unknown means that we were: nothing but our own liveness vouches for a heartbeat.
    While this location has no network, we are away still.
    """
    is_blind = LocationState.objects.filter(
        name=settings.PROBE_LOCATION, is_blind=True
    ).exists()
    return {
        monitor_id: replace(heart, away_until=now)
        if is_blind or _has_unnoted_absence(heart)
        else heart
        for monitor_id, heart in hearts.items()
    }


def _has_unnoted_absence(heart: _Heart) -> bool:
    return heart.confirmed == Status.UNKNOWN and (
        heart.away_until is None or heart.away_until < heart.confirmed_since
    )


def _hear(hearts: dict[int, _Heart], pings: Sequence[_Ping]) -> list[HeartbeatOutcome]:
    """Turn pings into outcomes, and note in `hearts` what they changed."""
    outcomes: list[HeartbeatOutcome] = []
    for ping in sorted(pings, key=lambda ping: ping.at):
        heart = hearts.get(ping.monitor_id)
        if heart is None:
            # Paused, or a heartbeat no more.
            continue
        if ping.kind == HeartbeatPing.Kind.START:
            hearts[ping.monitor_id] = replace(heart, run_started_at=ping.at)
            continue
        # It came, but too late.
        outcomes.extend(_missed(heart, ping.at))
        heard = replace(
            heart,
            last_ping_at=max(ping.at, heart.last_ping_at or ping.at),
            last_result_at=max(ping.at, heart.last_result_at or ping.at),
            run_started_at=None,
        )
        hearts[ping.monitor_id] = heard
        outcomes.append(_outcome_of(ping, heart, heard))
    return outcomes


def _outcome_of(ping: _Ping, before: _Heart, after: _Heart) -> HeartbeatOutcome:
    has_passed = ping.kind == HeartbeatPing.Kind.SUCCESS
    return HeartbeatOutcome(
        monitor_id=ping.monitor_id,
        at=ping.at,
        outcome=str(Outcome.PASSED if has_passed else Outcome.FAILED),
        reason=int(Reason.OK if has_passed else Reason.HEARTBEAT_FAILED),
        message="" if has_passed else _say_failure(ping),
        duration_ms=_run_ms(before.run_started_at, ping.at),
        deadline=after.deadline,
    )


def _miss(hearts: Mapping[int, _Heart], now: datetime) -> list[HeartbeatOutcome]:
    return [outcome for heart in hearts.values() for outcome in _missed(heart, now)]


def _missed(heart: _Heart, until: datetime) -> list[HeartbeatOutcome]:
    """Return the miss of the deadline that passed by `until`, if none told of it yet."""
    deadline = heart.deadline
    if deadline is None or deadline >= until:
        return []
    if heart.last_result_at is not None and heart.last_result_at >= deadline:
        return []
    return [
        HeartbeatOutcome(
            monitor_id=heart.monitor_id,
            at=deadline,
            outcome=str(Outcome.FAILED),
            reason=int(Reason.HEARTBEAT_MISSED),
            message=_say_miss(heart.options),
            duration_ms=None,
            deadline=deadline,
        )
    ]


def _run_ms(started_at: datetime | None, ended_at: datetime) -> float | None:
    if started_at is None or not timedelta() <= ended_at - started_at <= _LONGEST_RUN:
        return None
    return (ended_at - started_at) / timedelta(milliseconds=1)


def _say_failure(ping: _Ping) -> str:
    said = one_line(ping.body)
    if ping.exit_code is None:
        return said or pgettext("stored", "The job said that it failed")
    frame = (
        pgettext("stored", "Exit code %(code)s: %(said)s")
        if said
        else pgettext("stored", "Exit code %(code)s")
    )
    return frame % {"code": ping.exit_code, "said": said}


def _say_miss(options: HeartbeatOptions) -> str:
    if options.cron:
        return pgettext("stored", "No ping within %(grace)s of its time") % {
            "grace": duration(options.grace_s)
        }
    return pgettext("stored", "No ping within %(interval)s and %(grace)s of grace") % {
        "interval": duration(options.interval_s),
        "grace": duration(options.grace_s),
    }


def _lock_states(ids: set[int]) -> None:
    """Lock at once what this transaction changes: now, and when it records."""
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK_STATES, [list(ids)])


def _save(changed: Sequence[_Heart], ping_ids: list[int]) -> None:
    ids = [heart.monitor_id for heart in changed]
    with connection.cursor() as cursor:
        if changed:
            cursor.execute(
                _SAVE,
                [
                    ids,
                    [heart.last_ping_at for heart in changed],
                    [heart.run_started_at for heart in changed],
                    [heart.away_until for heart in changed],
                ],
            )
        if ping_ids:
            cursor.execute(
                "UPDATE monitors_heartbeatping SET is_handled = true"
                " WHERE id = ANY(%s)",
                [ping_ids],
            )
