"""All monitors at a glance, in one narrow query: what lists sort and services sum up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import FloatField, Func

from monitors.models import Monitor
from monitors.models.monitor import MonitorQuerySet
from monitors.queries.shown import look_rank, needs_a_look, vouched
from monitors.status import Status

# From so many days on a certificate is worth a look.
CERTIFICATE_DAYS = 14
# Shown like a status, but the ledger knows nothing of it.
FLAPPING = "flapping"


@dataclass(frozen=True, slots=True)
class Glance:
    """One monitor as a line: how it is shown now, and since when."""

    monitor_id: int
    name: str
    service_id: int
    service_name: str
    status: Status
    since: datetime | None
    message: str
    is_flapping: bool
    configuration_error: str
    certificate_expires_at: datetime | None
    counts_for_service: bool

    @property
    def rank(self) -> int:
        """Its place in a list that starts with what needs a look."""
        return look_rank(status=self.status, is_flapping=self.is_flapping)

    @property
    def look_status(self) -> str:
        """The word of its line: flapping says more than up or degraded."""
        is_quiet = self.status in (Status.UP, Status.DEGRADED)
        return FLAPPING if self.is_flapping and is_quiet else str(self.status)

    @property
    def look_since(self) -> datetime | None:
        """Since when it has needed a look; None: not because of its status."""
        return None if self.look_status == Status.UP else self.since

    def needs_a_look(self, now: datetime) -> bool:
        """Whether somebody should look: not well, misconfigured, or soon expired."""
        if self.status in (Status.PAUSED, Status.MAINTENANCE):
            return False
        return (
            needs_a_look(status=self.status, is_flapping=self.is_flapping)
            or bool(self.configuration_error)
            or self.has_expiring_certificate(now)
        )

    def has_expiring_certificate(self, now: datetime) -> bool:
        """Whether its certificate runs out within `CERTIFICATE_DAYS`."""
        return expires_soon(self.certificate_expires_at, now=now)


def expires_soon(expires_at: datetime | None, *, now: datetime) -> bool:
    """Whether a certificate runs out within `CERTIFICATE_DAYS` days, or has already."""
    soon = now + timedelta(days=CERTIFICATE_DAYS)
    return expires_at is not None and expires_at < soon


def glances(*, monitors: MonitorQuerySet, now: datetime) -> list[Glance]:
    """Return monitors, those that need a look first, then by service and name."""
    rows = monitors.order_by("service__position", "service__name", "name").values_list(
        "pk",
        "name",
        "service_id",
        "service__name",
        "state__status",
        _Epoch("state__since"),
        _Epoch("state__fresh_until"),
        "state__message",
        "state__is_flapping",
        "state__configuration_error",
        _Epoch("state__certificate_expires_at"),
        "counts_for_service",
    )
    found = [_glance(row, now) for row in rows]
    # Stable: within a rank the order of services and names stays.
    return sorted(found, key=lambda glance: glance.rank)


def all_glances(*, now: datetime) -> list[Glance]:
    """Return every monitor; see `glances`."""
    return glances(monitors=Monitor.objects.all(), now=now)


class _Epoch(Func):
    """A moment as seconds: Django takes five microseconds to read a timestamp."""

    template = "extract(epoch FROM %(expressions)s)::float8"
    output_field = FloatField()


def _moment(epoch_s: float | None) -> datetime | None:
    return None if epoch_s is None else datetime.fromtimestamp(epoch_s, UTC)


def _glance(row: tuple[Any, ...], now: datetime) -> Glance:
    (
        monitor_id,
        name,
        service_id,
        service_name,
        status,
        since_s,
        fresh_until_s,
        message,
        is_flapping,
        configuration_error,
        certificate_expires_s,
        counts_for_service,
    ) = row
    since, fresh_until = _moment(since_s), _moment(fresh_until_s)
    # Without a state's row: never probed.
    written = Status(status or Status.PENDING)
    shown = vouched(status=written, fresh_until=fresh_until, now=now)
    if shown != written and since is not None and fresh_until is not None:
        since = max(since, fresh_until)
    return Glance(
        monitor_id=monitor_id,
        name=name,
        service_id=service_id,
        service_name=service_name,
        status=shown,
        since=since,
        message=(message or "") if shown == written else "",
        is_flapping=bool(is_flapping),
        configuration_error=configuration_error or "",
        certificate_expires_at=_moment(certificate_expires_s),
        counts_for_service=counts_for_service,
    )
