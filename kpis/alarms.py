"""The alert about a KPI that can't be collected: P3, through the one door of incidents."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q
from django.utils.translation import pgettext

from incidents import intake
from incidents.alarms import own_service
from kpis.models import Kpi, KpiState
from kpis.reading import UnableToRead
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import source_language

# So many failures in a row, and somebody hears of it.
ALERT_AFTER = 3
_PREFIX, _SUFFIX = "kpi:", ":failing"
# Of the grouping key: all that one source takes along is one incident.
GROUP_PREFIX = "kpi-source:"


def dedup_key(slug: str) -> str:
    """Return the key of the alert about a KPI."""
    return f"{_PREFIX}{slug}{_SUFFIX}"


def follow(
    *, kpi: Kpi, state: KpiState, failure: UnableToRead | None, now: datetime
) -> None:
    """Raise the alert at the third failure in a row, end it with the next good run.

    Works in the caller's transaction; sets `state.has_alerted`, which the caller saves.
    """
    if failure is None:
        if state.has_alerted:
            with source_language():
                intake.resolve(
                    dedup_key=dedup_key(kpi.slug),
                    now=now,
                    detail=pgettext("stored", "It is collected again"),
                )
            state.has_alerted = False
        return
    if state.failure_count < ALERT_AFTER or not kpi.is_enabled:
        return
    with source_language():
        title = pgettext("stored", "KPI %(name)s can't be collected") % {
            "name": kpi.name
        }
    intake.trigger(
        dedup_key=dedup_key(kpi.slug),
        service=kpi.service or own_service(),
        grouping_key=f"{GROUP_PREFIX}{kpi.source_id}",
        title=title,
        priority=Priority.P3,
        started_at=state.failing_since or now,
        now=now,
        detail=failure.message,
        source=f"kpi:{kpi.pk}",
        is_public=False,
    )
    state.has_alerted = True


def end_orphans(*, now: datetime) -> None:
    """End alerts about KPIs that nobody collects under that name any more.

    They, or their source, were switched off, renamed or deleted since. One query
    when there is none.
    """
    firing = intake.firing(
        where=Q(dedup_key__startswith=_PREFIX, dedup_key__endswith=_SUFFIX)
    )
    # The order that `intake` asks for.
    keys = sorted(
        firing,
        key=lambda key: (firing[key].service_id, firing[key].grouping_key, key),
    )
    if not keys:
        return
    slugs = [key[len(_PREFIX) : -len(_SUFFIX)] for key in keys]
    collected = set(
        Kpi.objects.enabled()
        .filter(slug__in=slugs, source__is_enabled=True, state__has_alerted=True)
        .values_list("slug", flat=True)
    )
    for slug in slugs:
        if slug not in collected:
            with source_language():
                detail = pgettext("stored", "It is not collected any more")
            intake.resolve(dedup_key=dedup_key(slug), now=now, detail=detail)
    KpiState.objects.filter(
        Q(kpi__is_enabled=False) | Q(kpi__source__is_enabled=False), has_alerted=True
    ).update(has_alerted=False)
