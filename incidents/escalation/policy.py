"""The policy that an incident follows, as it was when the incident began.

It is stored with the incident as a dictionary, so later edits touch no running one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

VERSION = 2


@dataclass(frozen=True, slots=True)
class Hours:
    """When a step may run: weekdays (Monday 0; empty: all) and wall times of a zone.

    Hours over midnight belong to the weekday on which they begin. Equal or absent ends
    mean the whole day.
    """

    time_zone: str
    weekdays: frozenset[int] = frozenset()
    only_from: time | None = None
    only_until: time | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Whom to tell, how long after the start, and how often again.

    `repeat_s` 0 tells once; `repeat_limit` 0 repeats until somebody acknowledges. The
    ids are those of channels, on-call schedules, contacts and teams.
    """

    after_s: int = 0
    repeat_s: int = 0
    repeat_limit: int = 0
    has_mention: bool = False
    hours: Hours | None = None
    channel_ids: tuple[int, ...] = ()
    schedule_ids: tuple[int, ...] = ()
    contact_ids: tuple[int, ...] = ()
    team_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """What a priority means for one incident. Steps stand in the order of their time.

    `ack_expires_s` 0: an acknowledgement holds. `is_digest`: nobody is told at once.
    `is_fixed`: a change of priority keeps the steps (a drill proves this policy).
    """

    priority: str
    response_s: int
    is_digest: bool = False
    name: str = ""
    ack_expires_s: int = 0
    steps: tuple[Step, ...] = ()
    is_fixed: bool = False

    def response_due(self, *, since: datetime) -> datetime:
        """Return until when somebody must have acknowledged, counted from `since`."""
        return since + timedelta(seconds=self.response_s)


# What the guide ("Alertes Critiques") says, for a priority that nobody has set up. It
# names nobody: paging then goes to the catch-all, else to the channels of the others.
GUIDE = {
    policy.priority: policy
    for policy in (
        Policy("p0", response_s=300, steps=(Step(repeat_s=300, has_mention=True),)),
        Policy("p1", response_s=900, steps=(Step(),)),
        Policy("p2", response_s=3600, steps=(Step(),)),
        Policy("p3", response_s=86_400, is_digest=True),
    )
}


def snapshot(policy: Policy) -> dict[str, Any]:
    """Return what an incident keeps of its policy."""
    return {
        "version": VERSION,
        "priority": policy.priority,
        "response_s": policy.response_s,
        "is_digest": policy.is_digest,
        "name": policy.name,
        "ack_expires_s": policy.ack_expires_s,
        "is_fixed": policy.is_fixed,
        "steps": [_stored_step(step) for step in policy.steps],
    }


def read(stored: dict[str, Any]) -> Policy:
    """Read a snapshot back, an old one too; raises KeyError when it is none."""
    if "steps" not in stored:
        return _read_matrix_row(stored)
    return Policy(
        priority=stored["priority"],
        response_s=stored["response_s"],
        is_digest=stored["is_digest"],
        name=stored["name"],
        ack_expires_s=stored["ack_expires_s"],
        is_fixed=stored["is_fixed"],
        steps=tuple(_read_step(step) for step in stored["steps"]),
    )


def _read_matrix_row(stored: dict[str, Any]) -> Policy:
    """Read what incidents kept before there were policies: one row of the matrix."""
    step = Step(
        repeat_s=stored["repeat_s"],
        has_mention=stored["has_mention"],
        channel_ids=tuple(stored["channel_ids"]),
    )
    return Policy(
        priority=stored["priority"],
        response_s=stored["response_s"],
        is_digest=stored["is_digest"],
        steps=() if stored["is_digest"] else (step,),
    )


def _stored_step(step: Step) -> dict[str, Any]:
    return {
        "after_s": step.after_s,
        "repeat_s": step.repeat_s,
        "repeat_limit": step.repeat_limit,
        "has_mention": step.has_mention,
        "hours": _stored_hours(step.hours) if step.hours else None,
        "channels": list(step.channel_ids),
        "schedules": list(step.schedule_ids),
        "contacts": list(step.contact_ids),
        "teams": list(step.team_ids),
    }


def _read_step(stored: dict[str, Any]) -> Step:
    return Step(
        after_s=stored["after_s"],
        repeat_s=stored["repeat_s"],
        repeat_limit=stored["repeat_limit"],
        has_mention=stored["has_mention"],
        hours=_read_hours(stored["hours"]) if stored["hours"] else None,
        channel_ids=tuple(stored["channels"]),
        schedule_ids=tuple(stored["schedules"]),
        contact_ids=tuple(stored["contacts"]),
        team_ids=tuple(stored["teams"]),
    )


def _stored_hours(hours: Hours) -> dict[str, Any]:
    return {
        "time_zone": hours.time_zone,
        "weekdays": sorted(hours.weekdays),
        "from": hours.only_from.isoformat() if hours.only_from else None,
        "until": hours.only_until.isoformat() if hours.only_until else None,
    }


def _read_hours(stored: dict[str, Any]) -> Hours:
    begin, end = stored["from"], stored["until"]
    return Hours(
        time_zone=stored["time_zone"],
        weekdays=frozenset(stored["weekdays"]),
        only_from=time.fromisoformat(begin) if begin else None,
        only_until=time.fromisoformat(end) if end else None,
    )
