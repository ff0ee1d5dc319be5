"""KPIs are read fast enough: 95 of 100 readings within a bound."""

from __future__ import annotations

import math
from datetime import datetime

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
from kpis.models import Kpi, KpiRun

# Fewer say nothing about the slowest of a hundred.
_LEAST = 5
_SHARE = 0.95


def _look(_subject: Subject, wanted: Parameters, _now: datetime) -> Finding:
    rows = Kpi.objects.enabled().filter(slug__in=wanted["kpis"])
    named = {kpi.slug: kpi for kpi in rows}
    found = [
        _judge(named[slug], wanted)
        if slug in named
        else failed("missing", {"slug": slug}, name=slug)
        for slug in wanted["kpis"]
    ]
    return together("kpis", found, code="all_fast")


def _judge(kpi: Kpi, wanted: Parameters) -> Finding:
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
        outcome=KpiRun.Outcome.OK,
        trigger__in=[KpiRun.Trigger.SCHEDULE, KpiRun.Trigger.HAND],
    ).order_by("-started_at")[: wanted["runs"]]
    lengths = sorted(
        round(duration / max(count, 1))
        for duration, count in runs.values_list("duration_ms", "point_count")
    )
    if len(lengths) < _LEAST:
        return unknown(
            "too_few", what, name=kpi.name, count=len(lengths), needed=_LEAST
        )
    p95 = lengths[math.ceil(_SHARE * len(lengths)) - 1]
    values = {"name": kpi.name, "duration_ms": p95, "count": len(lengths)}
    if p95 > wanted["max_ms"]:
        return failed("slow", what, bound_ms=wanted["max_ms"], **values)
    return passed("fast", what, **values)


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
        "missing": _("There is no KPI “%(name)s” that is switched on."),
    },
)
