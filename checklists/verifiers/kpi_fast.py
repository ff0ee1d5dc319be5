"""KPIs are read fast enough: lately, and 95 of 100 readings within a bound."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from checklists.verifiers.base import (
    Finding,
    Parameter,
    Parameters,
    Subject,
    Verifier,
    failed,
    passed,
    together,
    unknown,
)
from checklists.verifiers.saying import instant
from kpis.models import Kpi, KpiRun

# Fewer say nothing about the slowest of a hundred.
_LEAST = 5
_SHARE = 0.95


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    rows = Kpi.objects.enabled().filter(slug__in=wanted["kpis"])
    named = {kpi.slug: kpi for kpi in rows}
    found = [
        _judge(named[slug], wanted, now)
        if slug in named
        else failed("missing", {"slug": slug}, name=slug)
        for slug in wanted["kpis"]
    ]
    return together("kpis", found, code="all_fast")


def _judge(kpi: Kpi, wanted: Parameters, now: datetime) -> Finding:
    version = kpi.versions.order_by("-number").first()
    what = {
        "slug": kpi.slug,
        "name": kpi.name,
        "version": version.number if version else 0,
    }
    # What the source itself took: of a run that read several periods, each its share.
    runs = KpiRun.objects.filter(
        kpi=kpi,
        version=version,
        outcome__in=[KpiRun.Outcome.OK, KpiRun.Outcome.FAILED],
        trigger__in=[KpiRun.Trigger.SCHEDULE, KpiRun.Trigger.HAND],
    ).order_by("-started_at")[: wanted["runs"]]
    newest_first = list(
        runs.only("started_at", "outcome", "message", "duration_ms", "point_count")
    )
    if len(newest_first) < _LEAST:
        return unknown(
            "too_few", what, name=kpi.name, count=len(newest_first), needed=_LEAST
        )
    last_at = newest_first[0].started_at
    if now - last_at >= timedelta(seconds=kpi.stale_after_s):
        return unknown("stale", what, name=kpi.name, last_at=instant(last_at))
    # One that failed, as by a timeout, counts as slower than any that brought a value.
    readings = sorted(
        (run.outcome == KpiRun.Outcome.FAILED, _length_ms(run)) for run in newest_first
    )
    is_failed, p95 = readings[math.ceil(_SHARE * len(readings)) - 1]
    if is_failed:
        message = next(
            run.message for run in newest_first if run.outcome == KpiRun.Outcome.FAILED
        )
        return failed("failing", what, name=kpi.name, message=message)
    values = {"name": kpi.name, "duration_ms": p95, "count": len(readings)}
    if p95 > wanted["max_ms"]:
        return failed("slow", what, bound_ms=wanted["max_ms"], **values)
    return passed("fast", what, **values)


def _length_ms(run: KpiRun) -> int:
    return round(run.duration_ms / max(run.point_count, 1))


VERIFIER = Verifier(
    name="kpi_fast",
    label=_("KPIs are read fast"),
    help=_("95 of 100 readings of each took no longer than the bound."),
    parameters=(
        Parameter("kpis", _("KPIs"), "texts", help=_("By their slugs.")),
        Parameter(
            "max_ms",
            _("at most so slow (ms)"),
            "integer",
            default=500,
            minimum=1,
            maximum=60_000,
        ),
        Parameter(
            "runs",
            _("of the last readings"),
            "integer",
            default=50,
            minimum=_LEAST,
            maximum=1000,
        ),
    ),
    look=_look,
    phrases={
        "all_fast": ngettext_lazy(
            "%(count)d KPI is read fast enough.",
            "All %(count)d KPIs are read fast enough.",
            "count",
        ),
        "fast": _(
            "%(name)s: 95 of 100 readings took at most %(duration_ms)s, of the last"
            " %(count)s."
        ),
        "slow": _(
            "%(name)s: 5 of 100 readings took %(duration_ms)s or longer, and"
            " %(bound_ms)s is the bound."
        ),
        "too_few": _("%(name)s was read %(count)s times; %(needed)s are needed."),
        "stale": _("%(name)s is stale: its last value is of %(last_at)s."),
        "failing": _("%(name)s can't be read: %(message)s"),
        "missing": _("There is no KPI “%(name)s” that is switched on."),
    },
)
