"""From findings to rows: raw results, state, ledger and alerts, in micro-batches.

Most results only say "still up": they cost a COPY and one UPDATE for the whole batch.
Whatever could change a status goes the long way, in small transactions. A database
that fails is our fault and is raised; the engine keeps the batch.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DataError, IntegrityError, connection, transaction
from django.db import Error as DatabaseFault

from monitors import ledger, scheduling
from monitors.engine import Finding
from monitors.evaluation import Rules, Standing, Verdict, evaluate, fresh_until
from monitors.history import partitions
from monitors.ledger import Change
from monitors.models import Monitor, MonitorState, ResultDetail
from monitors.probes.base import Outcome, ProbeResult
from monitors.status import Status
from monitors.thresholds import down_alerts

logger = logging.getLogger(__name__)

# Long ways taken in one transaction: a storm must not hold its locks for seconds.
_LONG_WAY_COUNT = 25
# Words of a failure that stays the same are kept again so often.
_DETAIL_EVERY = timedelta(minutes=10)
_COPY = (
    "COPY monitors_checkresult (at, monitor_id, dns_ms, connect_ms, tls_ms,"
    " first_byte_ms, transfer_ms, code) FROM STDIN"
)
# The states that need no more than "still up"; locked in the order of their keys.
_LOCK_STEADY = """
SELECT st.monitor_id, st.last_result_at, st.fresh_until, st.certificate IS NOT NULL,
       m.interval_s, m.timeout_s
  FROM monitors_monitorstate st
  JOIN monitors_monitor m ON m.id = st.monitor_id
 WHERE st.monitor_id = ANY(%s)
   AND st.confirmed = 'up' AND st.failure_count = 0 AND st.change_bits = 0
   AND st.last_code = 0 AND st.fresh_until IS NOT NULL AND m.is_enabled
   AND st.status <> 'paused'
 ORDER BY st.monitor_id
   FOR NO KEY UPDATE OF st
"""
_UPDATE_STEADY = """
UPDATE monitors_monitorstate st
   SET last_result_at = n.at, last_passed_at = n.at, last_latency_ms = n.latency_ms,
       fresh_until = n.fresh_until, success_count = st.success_count + 1
  FROM unnest(%s::bigint[], %s::timestamptz[], %s::float8[], %s::timestamptz[])
       AS n(monitor_id, at, latency_ms, fresh_until)
 WHERE st.monitor_id = n.monitor_id
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many results were still-up, went the long way, or were too old to count."""

    steady_count: int
    changed_count: int
    ignored_count: int


def record(*, findings: Sequence[Finding], now: datetime) -> Recorded:
    """Store findings and let them change status, ledger and alerts.

    Recording the same findings again changes nothing, so a batch may be retried. A
    finding that can't be stored is logged and let go, so that it holds up no other.
    Raises the errors of a database that is away or full.
    """
    try:
        return _record(findings, now)
    except Exception as error:
        _raise_unless_of_the_row(error)
        logger.exception("%s results could not be recorded together", len(findings))
    # A clock that jumped over midnight finds no partition to write into.
    partitions.ensure(now=now)
    return _record_singly(findings, now)


def _record_singly(findings: Sequence[Finding], now: datetime) -> Recorded:
    counts: Counter[str] = Counter()
    for finding in findings:
        try:
            counts.update(asdict(_record([finding], now)))
        except Exception as error:
            _raise_unless_of_the_row(error)
            logger.exception("a result of monitor %s is let go", finding.monitor_id)
            counts["ignored_count"] += 1
    return Recorded(**{name: counts[name] for name in Recorded.__slots__})


def _raise_unless_of_the_row(error: Exception) -> None:
    """Raise what a database says of itself: then no row is to blame."""
    if isinstance(error, DatabaseFault) and not isinstance(
        error, DataError | IntegrityError
    ):
        raise error


def _record(findings: Sequence[Finding], now: datetime) -> Recorded:
    times = Counter(finding.monitor_id for finding in findings)
    plain = [
        finding
        for finding in findings
        if times[finding.monitor_id] == 1
        and finding.result.outcome is Outcome.PASSED
        and finding.result.certificate is None
    ]
    steady = _record_steady(plain) if plain else set()
    rest = sorted(
        (finding for finding in findings if finding.monitor_id not in steady),
        key=lambda finding: (finding.at, finding.monitor_id),
    )
    changed_count = 0
    # In the caller's transaction parts would shorten nothing, and raise out of order.
    size = len(rest) if connection.in_atomic_block else _LONG_WAY_COUNT
    for start in range(0, len(rest), size or 1):
        changed_count += _record_long_way(rest[start : start + size], now)
    return Recorded(
        steady_count=len(steady),
        changed_count=changed_count,
        ignored_count=len(rest) - changed_count,
    )


def set_degraded(
    *, monitor_id: int, is_degraded: bool, since: datetime, message: str, now: datetime
) -> None:
    """Note that a threshold complains of an up monitor, or no longer does.

    In the caller's transaction. `since`: when the measurement crossed its bound.
    """
    state = (
        MonitorState.objects.select_for_update(of=("self",))
        .select_related("monitor__service")
        .defer("monitor__secret")
        .get(pk=monitor_id)
    )
    if state.is_degraded == is_degraded:
        return
    state.is_degraded = is_degraded
    # Nobody has looked lately: the tick says "unknown" first, from when on that is so.
    is_stale = state.fresh_until is not None and state.fresh_until < now
    is_answering = state.status in (Status.UP, Status.DEGRADED)
    if state.confirmed == Status.UP and is_answering and not is_stale:
        ledger.shift(
            monitor=state.monitor,
            state=state,
            change=Change(
                status=ledger.confirmed_status(state),
                since=since,
                message=message if is_degraded else "",
            ),
            now=now,
        )
    state.save()


def _record_steady(findings: list[Finding]) -> set[int]:
    """Record the findings whose monitor is, and stays, plainly up; return their ids."""
    by_monitor = {finding.monitor_id: finding for finding in findings}
    done: list[Finding] = []
    ids: list[int] = []
    times: list[datetime] = []
    latencies: list[float] = []
    fresh: list[datetime] = []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK_STEADY, [list(by_monitor)])
        for (
            monitor_id,
            last_at,
            fresh_to,
            has_certificate,
            interval_s,
            timeout_s,
        ) in cursor.fetchall():
            finding = by_monitor[monitor_id]
            at = _moment(finding.at)
            if at <= last_at or at > fresh_to:
                continue
            if has_certificate and _is_without_tls(finding.result):
                continue
            done.append(finding)
            ids.append(monitor_id)
            times.append(at)
            latencies.append(finding.result.phases.total_ms)
            fresh.append(fresh_until(at=at, interval_s=interval_s, timeout_s=timeout_s))
        if ids:
            _copy(cursor, done)
            cursor.execute(_UPDATE_STEADY, [ids, times, latencies, fresh])
    return set(ids)


@transaction.atomic
def _record_long_way(findings: list[Finding], now: datetime) -> int:
    states = {
        state.monitor_id: state
        for state in MonitorState.objects.select_for_update(of=("self",), no_key=True)
        .select_related("monitor__service")
        .defer("monitor__secret")
        .filter(pk__in={finding.monitor_id for finding in findings})
        .order_by("pk")
    }
    counted: list[Finding] = []
    touched: dict[int, MonitorState] = {}
    # Those that are not there any more are deleted.
    known = [finding for finding in findings if finding.monitor_id in states]
    for finding in sorted(
        known,
        key=lambda finding: (
            down_alerts.raising_order(states[finding.monitor_id].monitor),
            finding.at,
        ),
    ):
        state = states[finding.monitor_id]
        # Paused meanwhile, not resumed yet, or recorded before.
        if state.status == Status.PAUSED or not state.monitor.is_enabled:
            continue
        if state.last_result_at and _moment(finding.at) <= state.last_result_at:
            continue
        _apply(state, finding, now)
        touched[state.monitor_id] = state
        counted.append(finding)
    for state in touched.values():
        state.save()
    if counted:
        with connection.cursor() as cursor:
            _copy(cursor, counted)
    return len(counted)


def _apply(state: MonitorState, finding: Finding, now: datetime) -> None:
    monitor, result, at = state.monitor, finding.result, _moment(finding.at)
    rules = rules_of(monitor)
    verdict = evaluate(
        standing=standing_of(state), at=at, outcome=result.outcome, rules=rules
    )
    _keep_words(state, result, at)
    apply_verdict(
        state=state,
        verdict=verdict,
        reason=result.reason,
        message=result.message,
        now=now,
    )
    if result.outcome is Outcome.PASSED:
        state.last_passed_at = at
        state.last_latency_ms = result.phases.total_ms
    if result.outcome is not Outcome.ERROR:
        state.facts = dict(result.facts)
        _keep_certificate(state, result)
    if verdict.retry_after_s is not None:
        scheduling.ask_at(
            monitor_id=monitor.pk, at=at + timedelta(seconds=verdict.retry_after_s)
        )


def apply_verdict(
    *,
    state: MonitorState,
    verdict: Verdict,
    reason: int,
    message: str,
    now: datetime,
) -> None:
    """Write a verdict into the state and, where the status changed, into the ledger.

    Inside the caller's transaction, with the state's row locked; the caller saves.
    """
    for name in Standing.__slots__:
        setattr(state, name, getattr(verdict.standing, name))
    if verdict.gap_since is not None:
        ledger.follow(
            state=state,
            confirmed=Change(status=str(Status.UNKNOWN), since=verdict.gap_since),
            now=now,
        )
    if verdict.changed_since is not None:
        ledger.follow(
            state=state,
            confirmed=Change(
                status=ledger.confirmed_status(state),
                since=verdict.changed_since,
                reason=reason,
                message=message,
            ),
            now=now,
        )


def rules_of(monitor: Monitor) -> Rules:
    """Return how a monitor's results are read; a heartbeat's grace is its patience."""
    is_heartbeat = monitor.is_heartbeat
    return Rules(
        failures_to_down=1 if is_heartbeat else monitor.failures_to_down,
        successes_to_up=1 if is_heartbeat else monitor.successes_to_up,
        interval_s=monitor.interval_s,
        timeout_s=monitor.timeout_s,
        retry_interval_s=monitor.retry_interval_s,
    )


def standing_of(state: MonitorState) -> Standing:
    """Return the plain values of a state row."""
    return Standing(
        confirmed=state.confirmed,
        confirmed_since=state.confirmed_since,
        failure_count=state.failure_count,
        success_count=state.success_count,
        first_failure_at=state.first_failure_at,
        first_success_at=state.first_success_at,
        change_bits=state.change_bits,
        is_flapping=state.is_flapping,
        last_result_at=state.last_result_at,
        fresh_until=state.fresh_until,
    )


def _keep_words(state: MonitorState, result: ProbeResult, at: datetime) -> None:
    """Keep the words of a failure that says something new, or says it still."""
    is_news = (state.last_code, state.last_message) != (result.reason, result.message)
    if result.outcome is Outcome.FAILED and (
        is_news or not _has_recent_detail(state.monitor_id, at)
    ):
        ResultDetail.objects.create(
            monitor_id=state.monitor_id,
            at=at,
            code=result.reason,
            message=result.message,
            failed_assertion=result.failed_assertion,
            excerpt=result.excerpt,
        )
    state.last_code = result.reason
    state.last_message = result.message


def _has_recent_detail(monitor_id: int, at: datetime) -> bool:
    return ResultDetail.objects.filter(
        monitor_id=monitor_id, at__gt=at - _DETAIL_EVERY
    ).exists()


def _keep_certificate(state: MonitorState, result: ProbeResult) -> None:
    if result.certificate is not None:
        shown = asdict(result.certificate)
        shown["not_before"] = result.certificate.not_before.isoformat()
        shown["not_after"] = result.certificate.not_after.isoformat()
        state.certificate = shown
        state.certificate_expires_at = result.certificate.not_after
    elif _is_without_tls(result):
        # The target has been changed; the old one's days are nobody's trouble now.
        state.certificate = state.certificate_expires_at = None


def _is_without_tls(result: ProbeResult) -> bool:
    return result.outcome is Outcome.PASSED and result.phases.tls_ms is None


def _copy(cursor: Any, findings: Iterable[Finding]) -> None:
    with connection.wrap_database_errors, cursor.copy(_COPY) as copy:
        for finding in findings:
            phases = finding.result.phases
            copy.write_row(
                (
                    _moment(finding.at),
                    finding.monitor_id,
                    phases.dns_ms,
                    phases.connect_ms,
                    phases.tls_ms,
                    phases.first_byte_ms,
                    phases.transfer_ms,
                    finding.result.reason,
                )
            )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)
