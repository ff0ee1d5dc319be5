"""KPIs are fresh: read lately, and without a failure for some time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
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
    unknown,
)
from checklists.verifiers.saying import instant
from kpis.models import KpiRun, KpiVersion
from kpis.queries import cards_named
from kpis.showing.card import Card
from kpis.showing.standing import Freshness

_NOBODY_KNOWS = frozenset({Freshness.NEVER, Freshness.NO_VALUE})


def _look(_subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    slugs = wanted["kpis"]
    cards = {card.of.slug: card for card in cards_named(slugs=slugs, now=now)}
    versions = dict(
        KpiVersion.objects.filter(kpi__slug__in=slugs)
        .values_list("kpi__slug")
        .annotate(Max("number"))
    )
    failures = _failures(slugs, wanted["calm_hours"], now)
    found = [
        _judge(cards[slug], versions, failures, wanted["calm_hours"])
        if slug in cards
        else failed("missing", {"slug": slug}, name=slug)
        for slug in slugs
    ]
    return together("kpis", found, code="all_fresh")


def _failures(slugs: list[str], hours: int, now: datetime) -> Counter[str]:
    """Return how often each could not be read by the clock."""
    rows = KpiRun.objects.filter(
        kpi__slug__in=slugs,
        trigger=KpiRun.Trigger.SCHEDULE,
        outcome=KpiRun.Outcome.FAILED,
        started_at__gte=now - timedelta(hours=hours),
    )
    return Counter(rows.values_list("kpi__slug", flat=True))


def _judge(
    card: Card, versions: Mapping[str, int], failures: Counter[str], hours: int
) -> Finding:
    slug = card.of.slug
    what: dict[str, Any] = {
        "slug": slug,
        "name": card.of.name,
        "version": versions.get(slug, 0),
    }
    values: dict[str, Any] = {"name": card.of.name, "last_at": instant(card.as_of)}
    if card.freshness in _NOBODY_KNOWS:
        return unknown(str(card.freshness), what, **values)
    if card.freshness is not Freshness.FRESH:
        message = card.collected.message
        return failed(str(card.freshness), what, message=message, **values)
    if failures[slug]:
        counted = {"count": failures[slug], "hours": hours}
        return failed("restless", what, **counted, **values)
    observed = {"value": str(card.point.value)} if card.point is not None else {}
    return Finding(Verdict.PASSED, "fresh", what, values, observed)


VERIFIER = Verifier(
    name="kpi_fresh",
    label=_("KPIs are fresh"),
    help=_("Each was read lately, and could always be read for some hours."),
    parameters=(
        Parameter("kpis", _("KPIs"), "texts", help=_("By their slugs.")),
        Parameter(
            "calm_hours",
            _("without a failure for (h)"),
            "integer",
            default=24,
            maximum=24 * 30,
            help=_("0: only the last reading counts."),
        ),
    ),
    look=_look,
    phrases={
        "all_fresh": ngettext_lazy(
            "%(count)d KPI is fresh.", "All %(count)d KPIs are fresh.", "count"
        ),
        "fresh": _("%(name)s is fresh: %(last_at)s."),
        "missing": _("There is no KPI “%(name)s” that is switched on."),
        "never": _("%(name)s has never been read."),
        "no_value": _("%(name)s: the source has no value for the period."),
        "stale": _("%(name)s is stale: its last value is of %(last_at)s."),
        "overdue": _("%(name)s is overdue: its last value is of %(last_at)s."),
        "failing": _("%(name)s can't be read: %(message)s"),
        "off": _("The source of %(name)s is switched off."),
        "restless": ngettext_lazy(
            "%(name)s could not be read once in the last %(hours)s h.",
            "%(name)s could not be read %(count)d times in the last %(hours)s h.",
            "count",
        ),
    },
)
