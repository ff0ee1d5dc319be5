"""What a digest tells, gathered from stored rows; no source is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db.models import Avg, Count, Q
from django.urls import reverse

from incidents.models import Incident
from incidents.queries import response_times
from kpis import buckets, queries
from kpis.alarms import GROUP_PREFIX
from kpis.digest.telling import Digest, Responses, Stretch, Trouble
from kpis.digest.timing import DAILY, Occasion, Timing, latest
from kpis.models import DigestPlan, Kpi, KpiPoint
from kpis.showing import comparing
from kpis.showing.card import Card
from kpis.showing.comparing import Change
from kpis.showing.standing import Freshness

# With fewer values a mean says nothing that the values don't.
_FEWEST = 2

Key = tuple[int, datetime]


def timing_of(plan: DigestPlan) -> Timing:
    """Return when a plan is due."""
    return Timing(
        cadence=plan.cadence,
        at=plan.at,
        weekday=plan.weekday,
        day=plan.day,
        zone=plan.time_zone,
    )


def gather(*, plan: DigestPlan, occasion: Occasion, now: datetime) -> Digest:
    """Return what a plan's digest tells when it is written now. Some eight queries."""
    cards = queries.cards(audience=plan.audience, now=now)
    are_failures_told = any(card.freshness == Freshness.FAILING for card in cards)
    times = response_times(since=occasion.since, until=occasion.due_at)
    return Digest(
        cadence=plan.cadence,
        occasion=occasion,
        written_at=now,
        cards=cards,
        stretches={}
        if plan.cadence == DAILY
        else _stretches(cards, timing_of(plan), occasion),
        troubles=_troubles(occasion, are_failures_told=are_failures_told),
        responses=Responses(
            opened_count=times.incident_count,
            mean_to_acknowledge=times.mean_to_acknowledge,
            mean_to_resolve=times.mean_to_resolve,
        ),
        url=_board_url(plan),
    )


def _board_url(plan: DigestPlan) -> str:
    url: str = settings.PORTAL_URL + reverse("kpis:board")
    both = Kpi.Audience.BOTH
    return url if plan.audience == both else f"{url}?audience={plan.audience}"


def _troubles(occasion: Occasion, *, are_failures_told: bool) -> list[Trouble]:
    """Return what was there between two digests, whether it began then or before.

    `are_failures_told`: KPIs that can't be collected stand first in the digest already.
    """
    told = Q(resolved_at__isnull=True, grouping_key__startswith=GROUP_PREFIX)
    rows = (
        Incident.objects.filter(
            Q(resolved_at__isnull=True) | Q(resolved_at__gte=occasion.since),
            opened_at__lt=occasion.due_at,
            is_drill=False,
            merged_into__isnull=True,
        )
        .exclude(told if are_failures_told else Q(pk__in=[]))
        .select_related("service", "acknowledged_by")
        .order_by("priority", "-opened_at")
    )
    found = [
        Trouble(
            priority=row.priority,
            service=row.service.name,
            title=row.title,
            started_at=row.started_at,
            opened_at=row.opened_at,
            resolved_at=row.resolved_at,
            holder=row.holder,
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: one.resolved_at is not None)


def _stretches(
    cards: Sequence[Card], timing: Timing, occasion: Occasion
) -> dict[str, Stretch]:
    """Return each KPI against what the digest before told, and its mean since."""
    told = {
        card.of.slug: bucket.start
        for card in cards
        if (bucket := _told_before(card, occasion)) is not None
    }
    values = _values(cards, set(told.values()))
    means = _means(cards, timing, occasion)
    return {
        card.of.slug: _stretch(card, told.get(card.of.slug), values, means)
        for card in cards
        if card.point is not None
    }


def _told_before(card: Card, occasion: Occasion) -> buckets.Bucket | None:
    """Return the period that the digest before told of; None when it is the same."""
    if card.point is None or not card.point.is_complete:
        return None
    lateness = timedelta(seconds=card.of.lateness_s)
    told = buckets.last_complete(card.of.shape, occasion.since, lateness)
    return told if told.start < card.point.start else None


def _stretch(
    card: Card,
    told_start: datetime | None,
    values: Mapping[Key, Decimal],
    means: Mapping[int, tuple[Decimal, Decimal | None]],
) -> Stretch:
    assert card.point is not None  # noqa: S101 the caller asks
    version_id, direction = card.point.version_id, card.of.direction
    if told_start is None:
        # A period as long as the time between two digests, or longer.
        change = card.change
    else:
        change = comparing.change(
            value=card.point.value,
            before=values.get((version_id, told_start)),
            direction=direction,
        )
    if version_id not in means:
        return Stretch(change=change)
    mean, before = means[version_id]
    return Stretch(
        change=change,
        mean=mean,
        mean_change=comparing.change(value=mean, before=before, direction=direction)
        if before is not None
        else Change(),
    )


def _values(cards: Sequence[Card], starts: set[datetime]) -> dict[Key, Decimal]:
    rows = KpiPoint.objects.filter(
        version__in=_versions(cards), start__in=starts, is_complete=True
    )
    return {
        (version_id, start): value
        for version_id, start, value in rows.values_list("version_id", "start", "value")
    }


def _means(
    cards: Sequence[Card], timing: Timing, occasion: Occasion
) -> dict[int, tuple[Decimal, Decimal | None]]:
    """Return, by version, the mean since the digest before and the one before that.

    Of the same way of computing alone: a mean of two ways is one of nothing.
    """
    began_at = latest(timing, occasion.since - timedelta(microseconds=1)).due_at
    since, until = occasion.since, occasion.due_at
    is_within = Q(end__gt=since, end__lte=until)
    is_before = Q(end__gt=began_at, end__lte=since)
    rows = (
        KpiPoint.objects.filter(
            is_within | is_before, version__in=_versions(cards), is_complete=True
        )
        .values("version_id")
        .annotate(
            mean=Avg("value", filter=is_within),
            count=Count("pk", filter=is_within),
            mean_before=Avg("value", filter=is_before),
            count_before=Count("pk", filter=is_before),
        )
    )
    return {
        row["version_id"]: (
            row["mean"],
            row["mean_before"] if row["count_before"] >= _FEWEST else None,
        )
        for row in rows
        if row["count"] >= _FEWEST
    }


def _versions(cards: Sequence[Card]) -> list[int]:
    return [card.point.version_id for card in cards if card.point is not None]
