"""From one result to a confirmed status. Pure: plain values in, plain values out.

A status is confirmed by so many equal results in a row, both ways, and then counts
from the first of them. A result that is our own fault says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitors.probes.base import Outcome
from monitors.status import Status

# Flapping looks at so many of the last results …
_FLAP_WINDOW = 20
_FLAP_MASK = (1 << _FLAP_WINDOW) - 1
# … begins when so many of them differed from the one before, and ends at so few.
_FLAP_STARTS_AT = 6
_FLAP_ENDS_AT = 2
# What a loop may be late before an interval counts as unobserved.
_SLACK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Rules:
    """How a monitor wants its results read. Times in seconds."""

    failures_to_down: int
    successes_to_up: int
    interval_s: float
    timeout_s: float
    retry_interval_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a monitor after its last result."""

    confirmed: str
    confirmed_since: datetime
    failure_count: int = 0
    success_count: int = 0
    first_failure_at: datetime | None = None
    first_success_at: datetime | None = None
    change_bits: int = 0
    is_flapping: bool = False
    last_result_at: datetime | None = None
    fresh_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a result changed.

    `gap_since`: nobody looked from then to `changed_since` (or to the result, where
    the status stays). `changed_since` is set when the confirmed status is a new one.
    `retry_after_s`: ask again so soon, because a change is unconfirmed.
    """

    standing: Standing
    gap_since: datetime | None = None
    changed_since: datetime | None = None
    retry_after_s: float | None = None


def fresh_until(*, at: datetime, interval_s: float, timeout_s: float) -> datetime:
    """Return up to when a result of `at` speaks for its monitor.

    One missed slot is forgiven: the next result may take its whole timeout.
    """
    return at + timedelta(seconds=2 * interval_s + timeout_s) + _SLACK


def vouched_until(*, standing_fresh_until: datetime, rules: Rules) -> datetime:
    """Return when the slot after the last result was due: what comes later is a gap."""
    return (
        standing_fresh_until
        - timedelta(seconds=rules.interval_s + rules.timeout_s)
        - _SLACK
    )


def evaluate(
    *, standing: Standing, at: datetime, outcome: Outcome, rules: Rules
) -> Verdict:
    """Return what a result that began `at` makes of a monitor's standing.

    Results must come in order of time; one that is not newer than the last changes
    nothing.
    """
    if standing.last_result_at is not None and at <= standing.last_result_at:
        return Verdict(standing=standing)
    if outcome is Outcome.ERROR:
        return Verdict(standing=replace(standing, last_result_at=at))
    standing, gap_since = _after_gap(standing, at, rules)
    passed = outcome is Outcome.PASSED
    counted = _count(standing, at, passed, rules)
    changed_to, changed_since = _confirm(counted, rules)
    if changed_since is not None:
        counted = replace(counted, confirmed=changed_to, confirmed_since=changed_since)
    return Verdict(
        standing=counted,
        gap_since=gap_since,
        changed_since=changed_since,
        retry_after_s=_retry_after_s(counted, rules),
    )


def expire(*, standing: Standing, rules: Rules, now: datetime) -> Verdict | None:
    """Return the verdict "unknown" once the last result no longer vouches, or None."""
    if standing.fresh_until is None or standing.fresh_until >= now:
        return None
    if standing.confirmed not in (Status.UP, Status.DOWN):
        return None
    since = max(
        vouched_until(standing_fresh_until=standing.fresh_until, rules=rules),
        standing.confirmed_since,
    )
    return Verdict(standing=_unknown(standing, since), changed_since=since)


def _after_gap(
    standing: Standing, at: datetime, rules: Rules
) -> tuple[Standing, datetime | None]:
    """Forget the counts of before a stretch in which nobody looked."""
    if standing.fresh_until is None or standing.fresh_until >= at:
        return standing, None
    verdict = expire(standing=standing, rules=rules, now=at)
    if verdict is None:
        # Pending or unknown already: only the unconfirmed counts are too old.
        return _unknown_counts(standing), None
    return verdict.standing, verdict.changed_since


def _unknown(standing: Standing, since: datetime) -> Standing:
    return replace(
        _unknown_counts(standing),
        confirmed=str(Status.UNKNOWN),
        confirmed_since=since,
    )


def _unknown_counts(standing: Standing) -> Standing:
    return replace(
        standing,
        failure_count=0,
        success_count=0,
        first_failure_at=None,
        first_success_at=None,
        fresh_until=None,
    )


def _count(standing: Standing, at: datetime, passed: bool, rules: Rules) -> Standing:
    differs = standing.failure_count > 0 if passed else standing.success_count > 0
    bits = ((standing.change_bits << 1) | int(differs)) & _FLAP_MASK
    changes = bits.bit_count()
    is_flapping = changes > (
        _FLAP_ENDS_AT if standing.is_flapping else _FLAP_STARTS_AT - 1
    )
    if passed:
        return replace(
            standing,
            failure_count=0,
            first_failure_at=None,
            success_count=standing.success_count + 1,
            first_success_at=standing.first_success_at or at,
            change_bits=bits,
            is_flapping=is_flapping,
            last_result_at=at,
            fresh_until=_fresh(at, rules),
        )
    return replace(
        standing,
        success_count=0,
        first_success_at=None,
        failure_count=standing.failure_count + 1,
        first_failure_at=standing.first_failure_at or at,
        change_bits=bits,
        is_flapping=is_flapping,
        last_result_at=at,
        fresh_until=_fresh(at, rules),
    )


def _fresh(at: datetime, rules: Rules) -> datetime:
    return fresh_until(at=at, interval_s=rules.interval_s, timeout_s=rules.timeout_s)


def _confirm(standing: Standing, rules: Rules) -> tuple[str, datetime | None]:
    """Return the status that the counts confirm and since when, None if no news."""
    up, down = str(Status.UP), str(Status.DOWN)
    if standing.first_success_at is not None and standing.confirmed != up:
        # The very first success needs no second: there is nothing to recover from.
        needed = 1 if standing.confirmed == Status.PENDING else rules.successes_to_up
        if standing.success_count >= needed:
            return up, standing.first_success_at
    if (
        standing.first_failure_at is not None
        and standing.confirmed != down
        and standing.failure_count >= rules.failures_to_down
    ):
        return down, standing.first_failure_at
    return standing.confirmed, None


def _retry_after_s(standing: Standing, rules: Rules) -> float | None:
    is_unconfirmed = (
        standing.failure_count > 0 and standing.confirmed != Status.DOWN
    ) or (standing.success_count > 0 and standing.confirmed != Status.UP)
    if is_unconfirmed and rules.retry_interval_s < rules.interval_s:
        return rules.retry_interval_s
    return None
