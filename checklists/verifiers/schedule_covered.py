"""Somebody is on call, without a gap, for the coming days."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verdict,
    Verifier,
    failed,
    together,
)
from checklists.verifiers.saying import instant
from incidents.models import Schedule
from incidents.oncall import calendar, who
from incidents.oncall.plan import Plan


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    rows = Schedule.objects.defer("ical_url").order_by("slug")
    slugs = wanted["schedules"]
    rows = rows.filter(slug__in=slugs) if slugs else rows.filter(is_continuous=True)
    named = {schedule.slug: schedule for schedule in rows}
    if not slugs and not named:
        return failed("none", {"schedules": []})
    plans = who.plan_of([one.pk for one in named.values()], since=now)
    found = [
        _judge(named[slug], plans[named[slug].pk], wanted["days"], now)
        if slug in named
        else failed("missing", {"slug": slug}, name=slug)
        for slug in slugs or named
    ]
    return together("schedules", found, code="all_covered", days=wanted["days"])


def _judge(schedule: Schedule, plan: Plan, days: int, now: datetime) -> Finding:
    end = now + timedelta(days=days)
    what: dict[str, Any] = {
        "id": schedule.pk,
        "slug": schedule.slug,
        "name": schedule.name,
    }
    values: dict[str, Any] = {"name": schedule.name, "days": days}
    # Round the clock or not: what is asked is that there is somebody.
    gaps = [
        span
        for span in calendar.joined(calendar.shifts(plan, now, end))
        if span.contact_id is None
    ]
    if gaps:
        values |= {
            "since_at": instant(gaps[0].start),
            "ended_at": instant(gaps[0].end),
            "count": len(gaps),
        }
        return failed("gap", what, **values)
    observed = {"covered_until_at": instant(end)}
    return Finding(Verdict.PASSED, "covered", what, values, observed)


VERIFIER = Verifier(
    name="schedule_covered",
    label=_("Somebody is on call"),
    help=_("The schedules have somebody at every moment of the coming days."),
    parameters=(
        Parameter(
            "schedules",
            _("schedules"),
            "texts",
            default=[],
            help=_("By their short names. None: all that are round the clock."),
        ),
        Parameter(
            "days",
            _("for the next (days)"),
            "integer",
            default=14,
            minimum=1,
            maximum=90,
        ),
    ),
    look=_look,
    phrases={
        "all_covered": ngettext_lazy(
            "%(count)d schedule has somebody at every moment.",
            "All %(count)d schedules have somebody at every moment.",
            "count",
        ),
        "covered": ngettext_lazy(
            "%(name)s has somebody at every moment of the next day.",
            "%(name)s has somebody at every moment of the next %(days)d days.",
            "days",
        ),
        "gap": _(
            "%(name)s has nobody from %(since_at)s to %(ended_at)s. Fill the gap."
        ),
        "missing": _("There is no schedule called “%(name)s”."),
        "none": _("There is no schedule. Make one for who is on call."),
    },
)
