"""How each service is and was: as the worst of its monitors at each moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import add

from incidents.models import Service
from monitors.queries.glances import Glance
from monitors.queries.ledger import service_days, worst_of
from monitors.status import Status
from monitors.uptime import DayUptime, Uptime

DAY_COUNT = 90


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """A service with its present status and its last days."""

    service: Service
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
    """Return the health of some services, in their order; one query.

    `monitors`: the glances of at least all monitors of these services.
    """
    by_service: defaultdict[int, list[Glance]] = defaultdict(list)
    for glance in monitors:
        by_service[glance.service_id].append(glance)
    days = service_days(
        zones={service.pk: service.time_zone for service in services},
        day_count=day_count,
        now=now,
    )
    return [
        _health(service, by_service[service.pk], days[service.pk])
        for service in services
    ]


def _health(
    service: Service, monitors: list[Glance], days: list[DayUptime]
) -> ServiceHealth:
    status = worst_of([glance.status for glance in monitors])
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
