"""What pages show of deployments; each function says how many queries it costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet

from incidents.models import DeployWindow, Incident
from monitors.queries.before_after import Compared, Stretch, before_and_after
from t4g_portal.lib.commits import is_same, short
from telemetry.comparing import WATCHED, Comparison, compare, is_worse
from telemetry.models import Deployment

RECENT_COUNT = 50
LATEST_COUNT = 3
MARK_COUNT = 60
# The overview names what is as new as that.
_NEWS = timedelta(days=7)
_WINDOW_AROUND = timedelta(minutes=10)
# What is blamed on a deployment on its page.
INCIDENTS_AFTER = timedelta(hours=6)

State = Deployment.State
_Pair = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Line:
    """A deployment as lists show it, with the moment of the last word of it."""

    deployment: Deployment
    at: datetime
    # It was started, and nobody told how it ended.
    is_lost: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A service in an environment: what is live there, and what came after it."""

    # The newest of any state; it tells which service and environment it is.
    newest: Deployment
    live: Deployment | None
    # Since when: it was deployed then, or what came after it was rolled back.
    since: datetime | None
    # The newest one, where that is not the live one: it runs, failed or was rolled back.
    newer: Line | None
    # None: monitors don't watch that environment.
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class DeploymentsPage:
    """What is live where, and what was deployed lately."""

    places: list[Place]
    recent: list[Line]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A monitor before and after, and whether it makes the deployment worse."""

    compared: Compared
    is_worse: bool


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """One deployment, with what was measured and what happened after it."""

    line: Line
    is_live: bool
    comparison: Comparison | None
    # What got worse comes first.
    rows: list[Row]
    windows: list[DeployWindow]
    incidents: list[Incident]


def deployments_page(*, now: datetime) -> DeploymentsPage:
    """Return the page; six queries, whatever is on it."""
    places = _places(now)
    rows = _with_service(Deployment.objects.all()).order_by("-started_at", "-pk")
    recent = list(rows[: RECENT_COUNT + 1])
    return DeploymentsPage(
        places=places,
        recent=[_line(row, now) for row in recent[:RECENT_COUNT]],
        is_cut=len(recent) > RECENT_COUNT,
    )


def deployment_page(*, pk: int, now: datetime) -> DeploymentPage:
    """Return one's page; six queries at most. Raises Deployment.DoesNotExist."""
    one = _with_service(Deployment.objects.all()).get(pk=pk)
    live = _newest(
        Deployment.objects.deployed().filter(
            service=one.service_id, environment=one.environment
        ),
        "-finished_at",
    )
    comparison = compared([one], now=now).get(one.pk)
    monitors = comparison.monitors if comparison else ()
    rows = [Row(monitor, is_worse(monitor)) for monitor in monitors]
    return DeploymentPage(
        line=_line(one, now),
        is_live=one.pk in {row.pk for row in live.values()},
        comparison=comparison,
        rows=sorted(rows, key=lambda row: not row.is_worse),
        windows=_windows(one, now) if one.is_production else [],
        incidents=_incidents_after(one) if one.is_production else [],
    )


def latest(*, now: datetime) -> list[Line]:
    """Return the newest in production of the last week, for the overview; one query."""
    rows = Deployment.objects.in_production().filter(started_at__gte=now - _NEWS)
    newest = _with_service(rows).order_by("-started_at", "-pk")[:LATEST_COUNT]
    return [_line(row, now) for row in newest]


def between(
    *, start: datetime, end: datetime, service_id: int | None = None
) -> list[Deployment]:
    """Return what went on in production in [start, end), newest first; one query.

    At most `MARK_COUNT`. `service_id` None: of every service.
    """
    rows = Deployment.objects.in_production().filter(
        Q(finished_at__gte=start)
        | Q(rolled_back_at__gte=start)
        | Q(finished_at=None, started_at__gte=start - Deployment.LONGEST),
        started_at__lt=end,
    )
    if service_id is not None:
        rows = rows.filter(service=service_id)
    return list(_with_service(rows).order_by("-started_at", "-pk")[:MARK_COUNT])


def of_commit(
    *, service_id: int, environment: str, git_sha: str, now: datetime
) -> Line | None:
    """Return the newest deployment of a commit to a place; one query.

    Either of the two may name the commit by its first digits alone.
    """
    rows = Deployment.objects.filter(
        service=service_id,
        environment=environment.lower(),
        git_sha__startswith=short(git_sha),
    )
    for one in _with_service(rows).order_by("-started_at", "-pk")[:RECENT_COUNT]:
        if is_same(one.git_sha, git_sha):
            return _line(one, now)
    return None


def compared(
    deployments: Sequence[Deployment], *, now: datetime
) -> Mapping[int, Comparison]:
    """Return by number how those turned out that can be judged; two queries at most.

    Only what came to an end, where monitors watch, and whose results are still kept.
    What is deployed next ends what is measured of the one before.
    """
    kept_since = now - timedelta(days=settings.RESULT_RETENTION_DAYS) + WATCHED
    judged = [
        one
        for one in deployments
        if one.is_production
        and one.state in (State.SUCCEEDED, State.ROLLED_BACK)
        and one.started_at >= kept_since
    ]
    ends = _ends_of_measuring(judged)
    stretches = [
        Stretch(
            service_id=one.service_id,
            before_start=one.started_at - WATCHED,
            before_end=one.started_at,
            after_start=one.finished_at or one.started_at,
            after_end=ends[one.pk],
        )
        for one in judged
    ]
    return {
        one.pk: compare(monitors=found, after_end=ends[one.pk], now=now)
        for one, found in zip(judged, before_and_after(stretches), strict=True)
    }


def _places(now: datetime) -> list[Place]:
    every = Deployment.objects.all()
    live = _newest(every.deployed(), "-finished_at")
    newest = _newest(every, "-started_at")
    undone = _newest(every.filter(state=State.ROLLED_BACK), "-rolled_back_at")
    comparisons = compared(list(live.values()), now=now)
    places = []
    for pair, new in newest.items():
        one, back = live.get(pair), undone.get(pair)
        places.append(
            Place(
                newest=new,
                live=one,
                since=_live_since(one, back),
                newer=_line(new, now) if one is None or new.pk != one.pk else None,
                comparison=comparisons.get(one.pk) if one else None,
            )
        )
    places.sort(key=_order)
    return places


def _line(one: Deployment, now: datetime) -> Line:
    ends = one.rolled_back_at or one.finished_at
    return Line(
        deployment=one,
        at=ends or one.started_at,
        is_lost=ends is None and now - one.started_at > Deployment.LONGEST,
    )


def _live_since(live: Deployment | None, undone: Deployment | None) -> datetime | None:
    if live is None or live.finished_at is None:
        return None
    if undone is None or undone.rolled_back_at is None or undone.finished_at is None:
        return live.finished_at
    came_after = undone.finished_at > live.finished_at
    return undone.rolled_back_at if came_after else live.finished_at


def _order(place: Place) -> tuple[bool, str, int, str]:
    one = place.newest
    return (
        not one.is_production,
        one.environment,
        one.service.position,
        one.service.name,
    )


def _newest(rows: QuerySet[Deployment], order: str) -> dict[_Pair, Deployment]:
    """Return the newest of each service and environment."""
    found = (
        _with_service(rows)
        .order_by("service_id", "environment", order, "-pk")
        .distinct("service_id", "environment")
    )
    return {(row.service_id, row.environment): row for row in found}


def _with_service(rows: QuerySet[Deployment]) -> QuerySet[Deployment]:
    return rows.select_related("service")


def _ends_of_measuring(deployments: Iterable[Deployment]) -> dict[int, datetime]:
    """Return until when each is measured: the next of its service, or a rollback."""
    ends: dict[int, datetime] = {}
    wanted = list(deployments)
    if not wanted:
        return ends
    first = min(one.started_at for one in wanted)
    later = list(
        Deployment.objects.in_production()
        .filter(
            service__in={one.service_id for one in wanted},
            started_at__gt=first,
            started_at__lt=max(one.started_at for one in wanted) + Deployment.LONGEST,
        )
        .values_list("service_id", "started_at")
    )
    for one in wanted:
        start = one.finished_at or one.started_at
        known = [start + WATCHED, one.rolled_back_at]
        known += [at for of, at in later if of == one.service_id and at > start]
        ends[one.pk] = min(at for at in known if at is not None)
    return ends


def _windows(one: Deployment, now: datetime) -> list[DeployWindow]:
    """Return the deploy windows of the service that it fell into."""
    end = one.rolled_back_at or one.finished_at or now
    return list(
        DeployWindow.objects.filter(
            Q(ended_at=None, ends_at__gt=one.started_at)
            | Q(ended_at__gt=one.started_at),
            service=one.service_id,
            opened_at__lt=max(end, one.started_at + _WINDOW_AROUND),
        ).order_by("-opened_at")[:5]
    )


def _incidents_after(one: Deployment) -> list[Incident]:
    """Return the incidents of the service that began while it went on, or soon after."""
    return list(
        Incident.objects.filter(
            service=one.service_id,
            is_drill=False,
            merged_into=None,
            started_at__gte=one.started_at,
            started_at__lt=(one.finished_at or one.started_at) + INCIDENTS_AFTER,
        )
        .select_related("service")
        .order_by(F("started_at").asc())[:10]
    )
