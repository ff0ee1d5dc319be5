"""Whether an expectation holds, by the simulator's own functions. It writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from incidents import priorities, simulator
from incidents.escalation.reaching import Found, Wanted, first_told
from incidents.expectations import occasions
from incidents.models import ReachExpectation, ReachExpectationState, Schedule
from incidents.models.schedule import weekdays
from incidents.oncall import who
from notifications.models import Channel

Status = ReachExpectationState.Status
Reason = ReachExpectationState.Reason
_Occasion = ReachExpectation.Occasion

_NAMED = ("service", "policy", "contact", "schedule", "team", "channel")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an expectation holds, and the moment that decided it.

    `told_at`: when who is meant would be told; None: not in time, for `reason`.
    """

    expectation: ReachExpectation
    status: str
    opens_at: datetime
    told_at: datetime | None = None
    reason: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether it doesn't hold."""
        return self.status == Status.BROKEN


def enabled() -> list[ReachExpectation]:
    """Load those that are judged, who waited longest first; one query."""
    rows = ReachExpectation.objects.filter(is_enabled=True)
    return list(with_names(rows).order_by("state__judged_at", "pk"))


def with_names(rows: QuerySet[ReachExpectation]) -> QuerySet[ReachExpectation]:
    """Add all that judging and words need; what they name comes without its secrets."""
    return rows.select_related(*_NAMED, "state").defer(
        "schedule__ical_url", "channel__secret"
    )


def judge(*, expectation: ReachExpectation, now: datetime) -> Verdict:
    """Imagine each of its moments; the first that fails decides. Some 25 queries each."""
    if expectation.occasion == _Occasion.ONCE and expectation.at is not None:
        within = timedelta(seconds=expectation.within_s)
        if expectation.at + within < now:
            return Verdict(expectation, Status.PAST, opens_at=expectation.at)
    first: Verdict | None = None
    for at in moments_of(expectation=expectation, now=now):
        found = _judge_moment(expectation, at)
        if found.is_broken:
            return found
        first = first or found
    if first is None:
        raise ValueError(f"expectation {expectation.pk} has no moment")
    return first


def moments_of(*, expectation: ReachExpectation, now: datetime) -> tuple[datetime, ...]:
    """Return when it is imagined to break, the soonest first."""
    match expectation.occasion:
        case _Occasion.ONCE if expectation.at is not None:
            return (expectation.at,)
        case _Occasion.WEEKLY if expectation.clock is not None:
            days = [day for day, _label in weekdays()]
            return occasions.weekly(
                weekday=days.index(expectation.weekday),
                clock=expectation.clock,
                zone=ZoneInfo(expectation.time_zone),
                now=now,
            )
        case _:
            return (now,)


def _judge_moment(expectation: ReachExpectation, at: datetime) -> Verdict:
    policy = priorities.policy_for(
        service=expectation.service,
        priority=expectation.priority,
        fixed=expectation.policy,
    )
    until = at + timedelta(seconds=expectation.within_s)
    found = first_told(
        moments=simulator.pages(policy=policy, at=at, until=until),
        wanted=_wanted(expectation),
        until=until,
    )
    if found.told_at is not None:
        return Verdict(expectation, Status.KEPT, opens_at=at, told_at=found.told_at)
    reason = Reason.DIGEST if policy.is_digest else _reason(found)
    return Verdict(expectation, Status.BROKEN, opens_at=at, reason=reason)


def _reason(found: Found) -> str:
    if not found.has_told:
        return Reason.NOBODY
    return Reason.OTHERS if found.has_meant else Reason.UNOWNED


def _wanted(expectation: ReachExpectation) -> Wanted:
    method = expectation.method
    if expectation.contact_id is not None:
        person = frozenset({expectation.contact_id})
        return Wanted(whom=lambda at: person, method=method)
    if expectation.schedule is not None:
        schedule = expectation.schedule
        return Wanted(whom=lambda at: _owner(schedule, at), method=method)
    if expectation.team is not None:
        members = frozenset(expectation.team.members.values_list("pk", flat=True))
        return Wanted(whom=lambda at: members, method=method)
    kinds = Channel.objects.values_list("pk", "kind") if method else ()
    return Wanted(
        channel_id=expectation.channel_id,
        method=method,
        channel_methods={pk: _method(kind) for pk, kind in kinds},
    )


def _owner(schedule: Schedule, at: datetime) -> frozenset[int]:
    shift = who.on_call(schedule_id=schedule.pk, at=at)
    return frozenset() if shift.contact_id is None else frozenset({shift.contact_id})


def _method(kind: str) -> str:
    """Return by what a kind of channel tells: both kinds of Slack are Slack."""
    return kind.partition("_")[0]
