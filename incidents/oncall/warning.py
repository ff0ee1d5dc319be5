"""Tells of what is wrong with the next two weeks before it wakes nobody up.

A small alert of the portal's own for each schedule with a flaw ahead, so that it is in
the daily digest; it ends with the last flaw. A schedule that nobody has been planned in
yet is not in use, and its page says what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.utils.translation import pgettext

from incidents import alarms, intake
from incidents.models import Alert, Schedule
from incidents.oncall import outlook, who
from incidents.oncall.outlook import Flaw, FlawKind
from incidents.oncall.plan import Plan
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import source_language

_GROUPING_KEY = "portal:schedules"
_KEY = "portal:schedule:"


def watch_calendars(*, now: datetime) -> None:
    """Raise an alert for each schedule with flaws ahead; end those without.

    Six queries where nothing is wrong, however many schedules there are.
    """
    schedules = list(Schedule.objects.values_list("pk", flat=True))
    plans = who.plan_of(schedules, since=now)
    flawed = {pk: found for pk, plan in plans.items() if (found := _flaws(plan, now))}
    firing = Alert.objects.filter(
        dedup_key__startswith=_KEY, status=Alert.Status.FIRING
    ).values_list("dedup_key", "title")
    told = dict(firing)
    for key in sorted(told.keys() - {f"{_KEY}{pk}" for pk in flawed}):
        intake.resolve(dedup_key=key, now=now)
    for pk, flaws in sorted(flawed.items()):
        title = _title(plans[pk], flaws, now)
        if told.get(f"{_KEY}{pk}") != title:
            _raise(pk, title, now)


def _flaws(plan: Plan, now: datetime) -> tuple[Flaw, ...]:
    found = outlook.flaws(plan, now)
    is_unused = [one.kind for one in found] == [FlawKind.GAP] and (
        found[0].end - found[0].start == outlook.AHEAD
    )
    return () if is_unused else found


def _title(plan: Plan, flaws: Sequence[Flaw], now: datetime) -> str:
    missing = [one for one in flaws if one.kind is not FlawKind.OVERLAP]
    first = (missing or flaws)[0]
    facts = {
        "schedule": plan.name,
        "start": _clock(first.start, plan),
        "end": _clock(first.end, plan),
    }
    with source_language():
        if not missing:
            words = pgettext(
                "stored",
                "Two people are on call for %(schedule)s from %(start)s to %(end)s",
            )
        elif first.start > now:
            words = pgettext(
                "stored", "Nobody is on call for %(schedule)s from %(start)s to %(end)s"
            )
        else:
            # Its first moment moves with the clock, and the alert must not.
            words = pgettext(
                "stored", "Nobody is on call for %(schedule)s until %(end)s"
            )
    return words % facts


def _clock(moment: datetime, plan: Plan) -> str:
    return moment.astimezone(plan.zone).strftime("%Y-%m-%d %H:%M")


def _raise(pk: int, title: str, now: datetime) -> None:
    with source_language():
        detail = pgettext(
            "stored",
            "The calendar of the next two weeks shows when. Somebody has to take the "
            "shift, or the rotation needs another person.",
        )
    intake.trigger(
        dedup_key=f"{_KEY}{pk}",
        service=alarms.own_service(),
        title=title,
        priority=str(Priority.P3),
        started_at=now,
        now=now,
        detail=detail,
        source=f"schedule:{pk}",
        grouping_key=_GROUPING_KEY,
        is_public=False,
    )
