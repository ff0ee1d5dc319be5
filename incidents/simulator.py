"""The simulator's door: "a P0 on this service at that moment tells whom, by what, when?"

It asks what paging asks: the same policy, the same people, the same ways. It writes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from incidents import priorities, reach
from incidents.escalation.policy import Policy
from incidents.escalation.simulating import Moment, simulate
from incidents.models import EscalationPolicy, Service

HORIZON = timedelta(hours=1)
MAX_HORIZON = timedelta(days=3)
# Each costs some ten queries; an hour of pages a minute apart fits.
MAX_PAGES = 120


@dataclass(frozen=True, slots=True)
class Simulation:
    """What would happen if nobody acknowledged."""

    policy: Policy
    at: datetime
    until: datetime
    moments: tuple[Moment, ...]
    response_due_at: datetime
    # More pages would follow than are told.
    is_cut: bool


def run(
    *,
    service: Service,
    priority: str,
    at: datetime,
    fixed: EscalationPolicy | None = None,
    horizon: timedelta = HORIZON,
) -> Simulation:
    """Say who would be told of an incident that opens at `at`, past or to come.

    Who is on call is what the calendar says of each moment; addresses and channels are
    those of today. `fixed`: another policy than the one it would take. Some ten queries
    a page. Raises ValueError for an unknown priority and a horizon beyond three days.
    """
    if not timedelta() < horizon <= MAX_HORIZON:
        raise ValueError("a horizon lies within three days")
    policy = priorities.policy_for(service=service, priority=priority, fixed=fixed)
    found = tuple(pages(policy=policy, at=at, until=at + horizon))
    return Simulation(
        policy=policy,
        at=at,
        until=at + horizon,
        moments=found,
        response_due_at=policy.response_due(since=at),
        is_cut=len(found) == MAX_PAGES,
    )


def pages(*, policy: Policy, at: datetime, until: datetime) -> Iterator[Moment]:
    """Yield the pages of an incident that opens at `at`, each when it is asked for."""
    return simulate(
        policy=policy,
        at=at,
        until=until,
        look=lambda moment: reach.world_of(policy=policy, at=moment),
        limit=MAX_PAGES,
    )
