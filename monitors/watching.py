"""The tick that looks after states between results.

New monitors, pauses, windows, results that no longer vouch, slots that were lost,
heartbeats, and whether we ourselves are blind. Each step is its own transaction, so
that one that fails doesn't hold up the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Count, Max, Q
from django.utils.translation import pgettext

from incidents import alarms, intake
from monitors import ledger, maintenance, recording, scheduling
from monitors.engine import Finding
from monitors.evaluation import expire
from monitors.heartbeats.outcomes import due_outcomes
from monitors.ledger import Change
from monitors.models import LocationState, Monitor, MonitorState, StatusInterval
from monitors.probes.base import Outcome, Phases, ProbeResult
from monitors.status import Status
from monitors.thresholds import down_alerts
from t4g_portal.lib.priority import Priority

logger = logging.getLogger(__name__)

# The first question to a new monitor comes within so many seconds.
_FIRST_ASK_S = 10
# Rows that one step changes in one transaction.
_BATCH = 50
# Our own liveness vouches for heartbeats so far ahead.
_HEARTBEAT_VOUCH = timedelta(seconds=60)
# Blind for so long before anybody is told: a cable is replugged faster.
_BLIND_TOLD_AFTER = timedelta(seconds=10)
# Hosts' clocks differ by less; what is further ahead was stored before one was set back.
_SET_BACK = timedelta(minutes=2)
_CLOCK_KEY = "portal:clock"


def watch(*, now: datetime) -> None:
    """Run every step once; a step that fails is logged and the others still run.

    Raises RuntimeError at the end when any failed, so that the loop isn't called well.
    """
    failed = []
    steps: tuple[Callable[..., object], ...] = (
        admit_new,
        # First: what nobody saw is unknown, also before a pause or a window.
        expire_stale,
        pause_and_resume,
        open_and_close_windows,
        scheduling.free_lost_slots,
        scheduling.bring_forward,
        take_heartbeats,
        tell_of_clock,
    )
    for step in steps:
        try:
            step(now=now)
        except Exception:
            logger.exception("watch: %s failed", step.__name__)
            failed.append(step.__name__)
    if failed:
        raise RuntimeError(f"failed: {', '.join(failed)}")


@transaction.atomic
def admit_new(*, now: datetime) -> int:
    """Give monitors without a state theirs; return how many there were."""
    new = list(
        Monitor.objects.filter(state__isnull=True).defer("secret").order_by("pk")[:1000]
    )
    if not new:
        return 0
    states = MonitorState.objects.bulk_create(
        [
            MonitorState(
                monitor=monitor,
                status=Status.PENDING if monitor.is_enabled else Status.PAUSED,
                since=now,
                confirmed_since=now,
            )
            for monitor in new
        ],
        ignore_conflicts=True,
    )
    StatusInterval.objects.bulk_create(
        [
            StatusInterval(
                monitor_id=state.monitor_id, status=state.status, started_at=now
            )
            for state in states
        ],
        ignore_conflicts=True,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO monitors_probeslot (monitor_id, next_slot_at)
            SELECT m.id, %s + ((m.id * 2654435761) %% 4294967296) / 4294967296.0
                              * least(m.interval_s, %s) * interval '1 second'
              FROM monitors_monitor m
             WHERE m.id = ANY(%s)
                ON CONFLICT DO NOTHING
            """,
            [now, _FIRST_ASK_S, [monitor.pk for monitor in new]],
        )
    return len(new)


def pause_and_resume(*, now: datetime) -> int:
    """Let states follow their monitor's switch; return how many changed."""
    return _for_each(
        Q(monitor__is_enabled=False) & ~Q(status=Status.PAUSED)
        | Q(monitor__is_enabled=True, status=Status.PAUSED),
        _follow_switch,
        now,
    )


def _follow_switch(state: MonitorState, now: datetime) -> None:
    if state.monitor.is_enabled:
        _start_over(state, now)
    _follow_confirmed(state, now)


def _start_over(state: MonitorState, now: datetime) -> None:
    """Forget what was confirmed before a pause: the target may be another one."""
    state.confirmed = str(Status.PENDING)
    state.confirmed_since = now
    state.failure_count = state.success_count = state.change_bits = 0
    state.first_failure_at = state.first_success_at = None
    state.fresh_until = state.run_started_at = state.last_ping_at = None
    state.is_flapping = state.is_degraded = False
    scheduling.ask_at(monitor_id=state.monitor_id, at=now)


def open_and_close_windows(*, now: datetime) -> int:
    """Move monitors into and out of maintenance at their windows' borders."""
    inside = maintenance.windows_now(now=now)
    return _for_each(
        Q(monitor__is_enabled=True)
        & (
            Q(monitor_id__in=inside) & ~Q(status__in=[Status.MAINTENANCE])
            | Q(status=Status.MAINTENANCE) & ~Q(monitor_id__in=inside)
        ),
        _follow_confirmed,
        now,
    )


def _follow_confirmed(state: MonitorState, now: datetime) -> None:
    """Let the ledger say from now on what is confirmed, or what hides it."""
    is_down = state.confirmed == Status.DOWN
    ledger.follow(
        state=state,
        confirmed=Change(
            status=ledger.confirmed_status(state),
            # What still fails when a window closes counts, and pages, from then on.
            since=now,
            reason=state.last_code if is_down else 0,
            message=state.last_message if is_down else "",
        ),
        now=now,
    )


def expire_stale(*, now: datetime) -> int:
    """Call unknown what no result vouches for any more."""
    return _for_each(
        Q(confirmed__in=[Status.UP, Status.DOWN], fresh_until__lt=now)
        # Where nobody is to look, nobody is missed; resuming starts over.
        & ~Q(status=Status.PAUSED),
        _expire,
        now,
    )


def _expire(state: MonitorState, now: datetime) -> None:
    verdict = expire(
        standing=recording.standing_of(state),
        rules=recording.rules_of(state.monitor),
        now=now,
    )
    if verdict is None:
        return
    before = state.confirmed
    recording.apply_verdict(
        state=state,
        verdict=verdict,
        reason=0,
        message="",
        now=now,
    )
    if state.monitor.is_heartbeat:
        _listen_again(state, before, now)


def _listen_again(state: MonitorState, before: str, now: datetime) -> None:
    """Let a heartbeat be as it was: only while we were away was it unknown.

    A ping that came meanwhile may be lost, so its deadline begins anew.
    """
    state.confirmed = before
    state.confirmed_since = now
    state.away_until = now
    state.fresh_until = now + _HEARTBEAT_VOUCH
    _follow_confirmed(state, now)


def _for_each(
    which: Q, change: Callable[[MonitorState, datetime], None], now: datetime
) -> int:
    """Change the states that match, a batch a transaction; return how many."""
    ids = list(
        MonitorState.objects.filter(which).order_by("pk").values_list("pk", flat=True)
    )
    failed = []
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        try:
            _change(which, batch, change, now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("watch: one of many can't be changed")
            # Singly, so that one that can't be changed keeps nobody else from it.
            failed += [pk for pk in batch if not _try_change(which, pk, change, now)]
    if failed:
        raise RuntimeError(f"could not change the states of monitors {failed[:20]}")
    return len(ids)


@transaction.atomic
def _change(
    which: Q,
    ids: list[int],
    change: Callable[[MonitorState, datetime], None],
    now: datetime,
) -> None:
    states = list(
        MonitorState.objects.select_for_update(of=("self",))
        .select_related("monitor__service")
        .defer("monitor__secret")
        .filter(which, pk__in=ids)
        .order_by("pk")
    )
    for state in sorted(
        states, key=lambda state: down_alerts.raising_order(state.monitor)
    ):
        change(state, now)
        state.save()


def _try_change(
    which: Q, pk: int, change: Callable[[MonitorState, datetime], None], now: datetime
) -> bool:
    try:
        _change(which, [pk], change, now)
    except Exception:
        logger.exception("watch: the state of monitor %s can't be changed", pk)
        return False
    return True


def take_heartbeats(*, now: datetime) -> int:
    """Turn pings and missed deadlines into results; return how many."""
    with transaction.atomic():
        outcomes = due_outcomes(now=now)
        if outcomes:
            recording.record(
                findings=[
                    Finding(
                        monitor_id=outcome.monitor_id,
                        at=outcome.at.timestamp(),
                        result=ProbeResult(
                            outcome=Outcome(outcome.outcome),
                            reason=outcome.reason,
                            message=outcome.message,
                            phases=Phases(transfer_ms=outcome.duration_ms),
                        ),
                    )
                    for outcome in outcomes
                ],
                now=now,
            )
    MonitorState.objects.filter(
        Q(fresh_until__lt=now + _HEARTBEAT_VOUCH / 2),
        monitor__kind="heartbeat",
        monitor__is_enabled=True,
        confirmed__in=[Status.UP, Status.DOWN],
        fresh_until__gte=now,
    ).update(fresh_until=now + _HEARTBEAT_VOUCH)
    return len(outcomes)


@transaction.atomic
def tell_of_clock(*, now: datetime) -> None:
    """Raise an alert while results stand in the future, because a clock was set back.

    Older ones count for nothing until it has caught up: nobody would hear of an outage.
    """
    ahead = MonitorState.objects.filter(
        monitor__is_enabled=True, last_result_at__gt=now + _SET_BACK
    ).aggregate(count=Count("pk"), until=Max("last_result_at"))
    if not ahead["count"]:
        intake.resolve(dedup_key=_CLOCK_KEY, now=now)
        return
    intake.trigger(
        dedup_key=_CLOCK_KEY,
        service=alarms.own_service(),
        title=pgettext("stored", "Monitoring is blind: the clock was set back"),
        priority=str(Priority.P1),
        started_at=now,
        now=now,
        detail=pgettext(
            "stored",
            "Monitors whose results stand in the future: %(count)d. They notice nothing "
            "until %(until)s UTC; look at what they watch yourself. Check the clocks of "
            "the portal's hosts.",
        )
        % {
            "count": ahead["count"],
            "until": f"{ahead['until'].astimezone(UTC):%Y-%m-%d %H:%M}",
        },
        is_public=False,
    )


def note_connectivity(
    *, location: str, blind_since: float | None, now: datetime
) -> None:
    """Keep what a location's control targets said, and raise "monitoring is blind".

    `blind_since`: seconds since the epoch, None while online.
    """
    is_blind = blind_since is not None
    with transaction.atomic():
        state, is_new = LocationState.objects.select_for_update().get_or_create(
            name=location,
            defaults={"is_blind": is_blind, "changed_at": now, "checked_at": now},
        )
        if not is_new:
            if state.is_blind != is_blind:
                state.is_blind = is_blind
                state.changed_at = now
            state.checked_at = now
            state.save()
        if blind_since is None:
            intake.resolve(dedup_key=_blind_key(location), now=now)
        elif now.timestamp() - blind_since >= _BLIND_TOLD_AFTER.total_seconds():
            _raise_blind(location, datetime.fromtimestamp(blind_since, tz=UTC), now)


def _raise_blind(location: str, since: datetime, now: datetime) -> None:
    intake.trigger(
        dedup_key=_blind_key(location),
        service=alarms.own_service(),
        title=pgettext(
            "stored", "Monitoring is blind: location %(location)s has no network"
        )
        % {"location": location},
        priority=str(Priority.P1),
        started_at=since,
        now=now,
        detail=pgettext(
            "stored",
            "None of the control targets answers. Nothing is called down meanwhile; "
            "the time counts as unknown. Check the portal's own network.",
        ),
        source=f"location:{location}",
        is_public=False,
    )


def _blind_key(location: str) -> str:
    return f"portal:blind:{location}"
