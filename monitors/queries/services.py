"""How each service is and was: as the worst of its monitors at each moment.

Of those that count for it, wherever it is shown: overview, status page, badges.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime
from functools import reduce
from operator import add
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.utils import timezone

from incidents.models import Service
from monitors.queries.glances import Glance
from monitors.queries.ledger import service_days, worst_of
from monitors.status import Status
from monitors.uptime import DayUptime, Uptime

DAY_COUNT = 90
_FRESH_DAYS = 2
# Rarely, somebody corrects the past by hand.
_REMEMBERED_S = 3600


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """A service with its present status and its last days.

    The counts are of the monitors that count for it.
    """

    service: Service
    # Pending when no monitor counts.
    status: Status
    # Since when some monitor has had that status without a break; None: never probed.
    since: datetime | None
    monitor_count: int
    unknown_count: int
    days: list[DayUptime]

    @property
    def uptime(self) -> Uptime:
        """Over all the days shown."""
        return reduce(add, (day.uptime for day in self.days), Uptime(total_s=0))


def service_health(
    *,
    services: Sequence[Service],
    monitors: Sequence[Glance],
    now: datetime,
    day_count: int = DAY_COUNT,
) -> list[ServiceHealth]:
    """Return the health of some services, in their order; one or two queries.

    `monitors`: the glances of at least all monitors of these services.
    """
    by_service: defaultdict[int, list[Glance]] = defaultdict(list)
    for glance in monitors:
        if glance.counts_for_service:
            by_service[glance.service_id].append(glance)
    days = _days(services, by_service, day_count, now)
    return [
        _health(service, by_service[service.pk], days[service.pk])
        for service in services
    ]


def _days(
    services: Sequence[Service],
    by_service: Mapping[int, Sequence[Glance]],
    day_count: int,
    now: datetime,
) -> dict[int, list[DayUptime]]:
    """Return each service's days: the settled ones remembered, the last ones anew.

    What a day was is settled two days later: starts are backdated by minutes. Summing
    up 90 days of 1,000 monitors takes PostgreSQL a tenth of a second, two days of them
    a few milliseconds.
    """
    zones = {service.pk: service.time_zone for service in services}
    fresh = service_days(
        zones=zones, days_ago=range(min(_FRESH_DAYS, day_count)), now=now
    )
    settled = range(_FRESH_DAYS, day_count)
    keys = {
        service.pk: _settled_key(service, by_service[service.pk], settled, now)
        for service in services
    }
    known = cache.get_many(keys.values())
    missing = {pk: zones[pk] for pk, key in keys.items() if key not in known}
    if missing:
        summed = service_days(zones=missing, days_ago=settled, now=now)
        new = {keys[pk]: _packed(days) for pk, days in summed.items()}
        cache.set_many(new, _REMEMBERED_S)
        known |= new
    return {pk: [*_unpacked(known[keys[pk]]), *fresh[pk]] for pk in zones}


_Packed = list[tuple[date, tuple[float, ...]]]


def _packed(days: Sequence[DayUptime]) -> _Packed:
    """Return plain values, which a cache reads back five times faster."""
    return [(day.day, astuple(day.uptime)) for day in days]


def _unpacked(days: _Packed) -> list[DayUptime]:
    return [DayUptime(day=day, uptime=Uptime(*seconds)) for day, seconds in days]


def _settled_key(
    service: Service, monitors: Sequence[Glance], settled: range, now: datetime
) -> str:
    """Name the settled days of a service as long as they are of the same monitors."""
    ids = ",".join(str(pk) for pk in sorted(glance.monitor_id for glance in monitors))
    today = timezone.localtime(now, ZoneInfo(service.time_zone)).date()
    named = f"{service.time_zone}|{settled}|{today}|{ids}"
    digest = hashlib.sha256(named.encode()).hexdigest()[:32]
    return f"service-days:{service.pk}:{digest}"


def service_status(monitors: Iterable[Glance]) -> Status:
    """Return how a service is now, whose monitors are given: the worst that counts."""
    return worst_of([glance.status for glance in monitors if glance.counts_for_service])


def _health(
    service: Service, monitors: list[Glance], days: list[DayUptime]
) -> ServiceHealth:
    status = service_status(monitors)
    moments = [
        glance.since
        for glance in monitors
        if glance.status == status and glance.since is not None
    ]
    return ServiceHealth(
        service=service,
        status=status,
        since=min(moments, default=None),
        monitor_count=len(monitors),
        unknown_count=sum(glance.status == Status.UNKNOWN for glance in monitors),
        days=days,
    )
