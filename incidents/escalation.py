"""Who is told again and when: plain values in, plain values out.

A policy is the priority rule as it was when an incident opened (or when its priority
changed). It is a dictionary because the incident's row keeps it; later edits of the
matrix touch no running incident.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

# A condition that comes back this soon after its end is the same trouble flapping:
# shorter, and an unstable service pages at every dip; longer, and a second outage
# hides behind the first.
FLAP_WINDOW = timedelta(minutes=10)

# Whoever was told this recently need not be told again that it got worse. Later, an
# old message of a lower priority is no warning any more.
RECENTLY_TOLD = timedelta(minutes=10)

# When nobody could be told, the first new try; each paged try doubles the wait.
UNTOLD_RETRY = timedelta(minutes=5)
UNTOLD_RETRY_DOUBLINGS = 4

TRIGGERED = "triggered"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the priority matrix. Times in seconds; `repeat_s` 0 tells once."""

    priority: str
    response_s: int
    repeat_s: int
    has_mention: bool
    is_digest: bool
    channel_ids: tuple[int, ...] = ()


# What the guide ("Alertes Critiques") says, for a row that nobody has made. It names
# no channel: paging then falls through to those of the other rows.
GUIDE_RULES = {
    rule.priority: rule
    for rule in (
        Rule("p0", response_s=300, repeat_s=300, has_mention=True, is_digest=False),
        Rule("p1", response_s=900, repeat_s=0, has_mention=False, is_digest=False),
        Rule("p2", response_s=3600, repeat_s=0, has_mention=False, is_digest=False),
        Rule("p3", response_s=86_400, repeat_s=0, has_mention=False, is_digest=True),
    )
}


def policy_from(*, rule: Rule) -> dict[str, Any]:
    """Return the snapshot of a rule that an incident keeps."""
    return {**asdict(rule), "channel_ids": list(rule.channel_ids)}


def rule_of(*, policy: dict[str, Any]) -> Rule:
    """Read a snapshot back; raises KeyError when it is not one."""
    return Rule(
        priority=policy["priority"],
        response_s=policy["response_s"],
        repeat_s=policy["repeat_s"],
        has_mention=policy["has_mention"],
        is_digest=policy["is_digest"],
        channel_ids=tuple(policy["channel_ids"]),
    )


def next_escalation(
    *,
    policy: dict[str, Any],
    status: str,
    snoozed_until: datetime | None,
    paged_at: datetime,
    now: datetime,
) -> datetime | None:
    """Return when the engine looks at an incident next, or None when it need not.

    A snooze ends at its time whatever the status. Otherwise only a triggered incident
    is paged again: at the first whole number of repeats since `paged_at`, the last
    page, that lies ahead. So missed times are skipped, and an incident that comes and
    goes faster than the repeat can't put it off for ever.
    """
    if snoozed_until is not None and snoozed_until > now:
        return snoozed_until
    rule = rule_of(policy=policy)
    if status != TRIGGERED or rule.is_digest or not rule.repeat_s:
        return None
    repeat = timedelta(seconds=rule.repeat_s)
    return paged_at + repeat * max((now - paged_at) // repeat + 1, 1)


def next_untold_try(*, page_count: int, now: datetime) -> datetime:
    """Return when to try again after nobody could be told.

    `page_count`: pages written so far; channels that refuse them are asked ever more
    rarely, at the latest after 80 minutes.
    """
    doublings = min(page_count, UNTOLD_RETRY_DOUBLINGS)
    return now + UNTOLD_RETRY * (1 << doublings)


def response_due(*, policy: dict[str, Any], since: datetime) -> datetime:
    """Return until when somebody must have acknowledged, counted from `since`."""
    return since + timedelta(seconds=rule_of(policy=policy).response_s)


def is_flap(
    *, resolved_at: datetime, is_resolved_by_person: bool, now: datetime
) -> bool:
    """Whether a condition firing at `now` continues an incident that has ended.

    What a person declared over is over: when it fires again, that is news.
    """
    return not is_resolved_by_person and now - resolved_at < FLAP_WINDOW
