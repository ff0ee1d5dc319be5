"""The monitors list: filtered, sorted by what needs a look, a page of it with figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import F, Func, Q

from incidents.models import Service
from monitors.models import Monitor
from monitors.models.monitor import MonitorQuerySet
from monitors.queries.glances import FLAPPING, Glance, glances
from monitors.queries.latency import Spark, sparks
from monitors.queries.ledger import intervals, uptimes
from monitors.queries.shown import vouched_until
from monitors.status import Status
from monitors.uptime import Interval, Uptime

# A screenful or three; the rest is a filter away.
PAGE_SIZE = 50
STRIP = timedelta(hours=24)
STATES = (
    str(Status.DOWN),
    FLAPPING,
    str(Status.DEGRADED),
    str(Status.UNKNOWN),
    str(Status.PENDING),
    str(Status.MAINTENANCE),
    str(Status.UP),
    str(Status.PAUSED),
)
_WINDOWS = {
    "24h": timedelta(hours=24),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked the list for; an empty value asks for all."""

    service: str = ""
    kind: str = ""
    tag: str = ""
    state: str = ""
    text: str = ""

    @property
    def is_anything(self) -> bool:
        """Whether nothing is filtered."""
        return self == Wanted()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    glance: Glance
    kind_name: str
    tags: list[str]
    last_result_at: datetime | None
    last_latency_ms: float | None
    uptimes: Mapping[str, Uptime]
    strip: list[Interval]
    observed_until: datetime | None
    spark: Spark
    has_expiring_certificate: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list, and what its filter offers."""

    rows: list[Row]
    page: Page[Glance]
    # Monitors in each state that occurs, of those that match everything but the state.
    counts: Mapping[str, int]
    total_count: int
    services: list[Service]
    tags: list[str]
    # Whether there is any monitor at all.
    is_empty: bool


def list_monitors(*, wanted: Wanted, page_number: int | str, now: datetime) -> Listing:
    """Return a page of the monitors wanted; always the same number of queries.

    A page number out of range gives the nearest page.
    """
    found = glances(monitors=_matching(wanted), now=now)
    counts = Counter(str(glance.status) for glance in found)
    counts[FLAPPING] = sum(glance.is_flapping for glance in found)
    page = Paginator(
        [glance for glance in found if _has_state(glance, wanted.state)], PAGE_SIZE
    ).get_page(page_number)
    return Listing(
        rows=_rows(list(page.object_list), now),
        page=page,
        counts={state: counts[state] for state in STATES if counts[state]},
        total_count=len(found),
        services=list(Service.objects.order_by("position", "name")),
        tags=_tags(),
        is_empty=wanted.is_anything and not found,
    )


def _matching(wanted: Wanted) -> MonitorQuerySet:
    monitors = Monitor.objects.all()
    if wanted.service:
        monitors = monitors.filter(service__slug=wanted.service)
    if wanted.kind:
        monitors = monitors.filter(kind=wanted.kind)
    if wanted.tag:
        monitors = monitors.filter(tags__contains=[wanted.tag])
    for word in wanted.text.split():
        monitors = monitors.filter(
            Q(name__icontains=word)
            | Q(target__icontains=word)
            | Q(service__name__icontains=word)
        )
    return monitors


def _has_state(glance: Glance, state: str) -> bool:
    if not state:
        return True
    if state == FLAPPING:
        return glance.is_flapping
    return glance.status == state


def _rows(shown: list[Glance], now: datetime) -> list[Row]:
    ids = [glance.monitor_id for glance in shown]
    more: dict[int, list[Any]] = {
        monitor_id: values
        for monitor_id, *values in Monitor.objects.filter(pk__in=ids).values_list(
            "pk",
            "kind",
            "tags",
            "state__last_result_at",
            "state__last_latency_ms",
            "state__status",
            "state__fresh_until",
        )
    }
    kinds = dict(Monitor._meta.get_field("kind").flatchoices)
    figures = uptimes(monitor_ids=ids, now=now, windows=_WINDOWS)
    strips = intervals(monitor_ids=ids, start=now - STRIP, now=now)
    lines = sparks(monitor_ids=ids, now=now)
    rows = []
    for glance in shown:
        # Deleted between two of the queries.
        if glance.monitor_id not in more:
            continue
        kind, tags, last_at, last_ms, status, fresh_until = more[glance.monitor_id]
        rows.append(
            Row(
                glance=glance,
                kind_name=str(kinds.get(kind, kind)),
                tags=tags,
                last_result_at=last_at,
                last_latency_ms=last_ms,
                uptimes=figures[glance.monitor_id],
                strip=strips[glance.monitor_id],
                observed_until=vouched_until(status=status, fresh_until=fresh_until),
                spark=lines[glance.monitor_id],
                has_expiring_certificate=glance.has_expiring_certificate(now),
            )
        )
    return rows


def _tags() -> list[str]:
    tags = Monitor.objects.annotate(tag=Func(F("tags"), function="unnest"))
    return sorted(tags.values_list("tag", flat=True).distinct())
