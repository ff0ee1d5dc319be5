"""A drill took the real road to a person, lately: the newest one counts, good or bad."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
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
    unknown,
)
from checklists.verifiers.saying import instant
from incidents.models import Service
from monitors.drills.running import report
from monitors.models import Drill
from t4g_portal.lib.priority import Priority

Status = Drill.Status


def _look(subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    slug = "" if wanted["any_service"] else wanted["service"] or subject.service_slug
    what: dict[str, Any] = {
        "service": slug,
        "priority": wanted["priority"],
        "days": wanted["max_age_days"],
    }
    if slug and not Service.objects.filter(slug=slug).exists():
        return failed("no_service", what, service=slug)
    drills = _drills(slug, wanted["priority"])
    last = drills.exclude(status__in=[Status.RUNNING, Status.STOPPED]).first()
    if last is None or _is_old(last, wanted["max_age_days"], now):
        if drills.filter(status=Status.RUNNING).exists():
            return unknown("running", what)
        return failed("none", what, days=wanted["max_age_days"])
    return _judge(last, what, wanted)


def _drills(service_slug: str, priority: str) -> QuerySet[Drill]:
    rows = Drill.objects.select_related("incident", "signed_by").order_by(
        "-started_at", "-pk"
    )
    if service_slug:
        rows = rows.filter(incident__service__slug=service_slug)
    return rows.filter(priority=priority) if priority else rows


def _is_old(drill: Drill, days: int, now: datetime) -> bool:
    return drill.ended_at is None or now - drill.ended_at > timedelta(days=days)


def _judge(drill: Drill, what: dict[str, Any], wanted: Parameters) -> Finding:
    told = report(drill=drill)
    first = told.acknowledged
    values = {
        "drill": drill.pk,
        "name": drill.monitor_name,
        "ended_at": instant(drill.ended_at),
    }
    observed = {
        "started_at": instant(drill.started_at),
        "ways": len(told.ways),
        "acknowledged_at": instant(first.at) if first else "",
        "acknowledged_by": first.who if first else "",
    }
    if first:
        values["acknowledged_by"] = first.who
        values["acknowledged_s"] = round(told.after_s(first.at) or 0)
    if drill.status == Status.FAILED:
        return Finding(Verdict.FAILED, "failed", what, values, observed)
    if drill.status == Status.PARTLY and not wanted["may_be_partly"]:
        values["names"] = sorted({way.to for way in told.failed_ways})
        return Finding(Verdict.FAILED, "partly", what, values, observed)
    if wanted["must_be_signed"] and drill.signed_at is None:
        return Finding(Verdict.FAILED, "unsigned", what, values, observed)
    return Finding(Verdict.PASSED, "proven", what, values, observed)


VERIFIER = Verifier(
    name="drill_passed",
    label=_("A drill has passed"),
    help=_(
        "The newest drill that ended was acknowledged, and every way of telling worked."
    ),
    parameters=(
        Parameter(
            "service",
            _("service"),
            "text",
            default="",
            help=_("Its short name. Empty: the run's."),
        ),
        Parameter("any_service", _("of any service"), "switch", default=False),
        Parameter(
            "priority",
            _("priority"),
            "choice",
            default=Priority.P0.value,
            choices=(("", _("any")), *Priority.choices),
        ),
        Parameter(
            "max_age_days",
            _("at most so old (days)"),
            "integer",
            default=30,
            minimum=1,
            maximum=365,
        ),
        Parameter(
            "may_be_partly",
            _("though a way of telling failed"),
            "switch",
            default=False,
        ),
        Parameter("must_be_signed", _("its report is signed"), "switch", default=False),
    ),
    look=_look,
    phrases={
        "proven": _(
            "Drill %(drill)s of %(name)s: %(acknowledged_by)s acknowledged after"
            " %(acknowledged_s)s."
        ),
        "running": _("A drill is running. Look again when it has ended."),
        "none": ngettext_lazy(
            "No drill in the last day. Run one.",
            "No drill in the last %(days)d days. Run one.",
            "days",
        ),
        "no_service": _("There is no service called “%(service)s”."),
        "failed": _(
            "Drill %(drill)s of %(name)s failed: nobody acknowledged. Run another."
        ),
        "partly": _(
            "Drill %(drill)s of %(name)s was acknowledged, but this did not arrive:"
            " %(names)s. Mend it and run another."
        ),
        "unsigned": _("Drill %(drill)s of %(name)s passed; its report is not signed."),
    },
)
