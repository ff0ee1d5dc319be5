"""Why was nobody paged? What the portal knew of a monitor at a moment, in order.

From the ledger, the raw results, the thresholds (those of today) and the alerts; what
became of the incident says `incidents.hindsight`. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from incidents.hindsight import Hindsight, Line, looking_back
from incidents.models import Alert, HeldAlert, Incident
from monitors.models import CheckResult, Monitor, StatusInterval, Threshold
from monitors.pages.reasons import is_ours, reason_words
from monitors.queries.shown import vouched
from monitors.status import Status
from monitors.thresholds.scopes import Scopes
from t4g_portal.lib.priority import Priority
from t4g_portal.lib.retelling import retold
from t4g_portal.lib.wording import clock, duration

MAX_ALERTS = 20
_MAX_RESULTS = 50
_LEAST_REACH_BACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Account:
    """The answer: what was known, the incidents then open, and one plain sentence."""

    monitor: Monitor
    at: datetime
    status: Status
    lines: tuple[Line, ...]
    incidents: tuple[Hindsight, ...]
    verdict: str
    has_reached: bool


def account(*, monitor: Monitor, at: datetime, now: datetime) -> Account:
    """Say why nobody was paged about a monitor at `at`, or that somebody was.

    `monitor` with its service and state. Eight queries at most.
    """
    look = _Look(monitor=monitor, at=at, now=now)
    found = looking_back(incidents=look.incidents(), at=at, now=now)
    reached = next((one for one in found if one.has_reached), None)
    told = reached or (found[0] if found else None)
    return Account(
        monitor=monitor,
        at=at,
        status=look.status,
        lines=tuple(look.lines()),
        incidents=tuple(found),
        verdict=told.verdict if told else look.verdict(),
        has_reached=reached is not None,
    )


class _Look:
    """What the tables say of one monitor at one moment."""

    def __init__(self, *, monitor: Monitor, at: datetime, now: datetime) -> None:
        self.monitor, self.at, self.now = monitor, at, now
        self.interval = (
            StatusInterval.objects.filter(
                Q(ended_at=None) | Q(ended_at__gt=at),
                monitor=monitor,
                started_at__lte=at,
            )
            .order_by("-started_at")
            .first()
        )
        self.status, self.since = self._status()
        self.failure_count = self._failure_count()
        self.thresholds = self._thresholds()
        self.alerts = list(
            Alert.objects.filter(
                Q(resolved_at=None) | Q(resolved_at__gt=at),
                source=f"monitor:{monitor.pk}",
                triggered_at__lte=at,
                incident__is_drill=False,
            )
            .select_related("incident__service")
            .order_by("priority", "pk")[:MAX_ALERTS]
        )

        self.held = list(
            HeldAlert.objects.filter(
                Q(ended_at=None) | Q(ended_at__gt=at),
                source=f"monitor:{monitor.pk}",
                held_at__lte=at,
            ).order_by("priority", "pk")[:MAX_ALERTS]
        )

    def incidents(self) -> list[Incident]:
        """Return the incidents that its alerts belonged to at the moment."""
        holding = {alert.incident_id: alert.incident for alert in self.alerts}
        if not holding:
            return []
        # An alert has moved with its incident into another one; then they were apart.
        apart = Incident.objects.filter(
            merged_into__in=holding,
            service=self.monitor.service_id,
            opened_at__lte=self.at,
            resolved_at__gt=self.at,
        ).select_related("service")
        found = {one.pk: one for one in apart}
        return [
            *found.values(),
            *(one for pk, one in holding.items() if one.opened_at <= self.at),
        ]

    def lines(self) -> Iterator[Line]:
        """Yield what was known, from the monitor to its alerts."""
        yield Line(self._said(), at=self.since, is_stop=self.status != Status.DOWN)
        if self.failure_count and self.status != Status.DOWN:
            yield Line(self._unconfirmed(), is_stop=True)
        if not self.thresholds:
            yield Line(
                _("No enabled threshold makes an alert of it when it is down."),
                is_stop=True,
            )
        is_early = all(map(self._waits, self.thresholds))
        for threshold in self.thresholds:
            yield Line(self._of_threshold(threshold), is_stop=is_early)
        for alert in self.alerts:
            yield Line(
                _("Alert of %(priority)s: %(title)s")
                % {
                    "priority": Priority(alert.priority).short,
                    "title": retold(alert.title),
                },
                at=alert.triggered_at,
            )
        for held in self.held:
            yield Line(
                _("Alert of %(priority)s, held back by a deploy window: %(title)s")
                % {
                    "priority": Priority(held.priority).short,
                    "title": retold(held.title),
                },
                at=held.held_at,
                is_stop=True,
            )
        if not self.alerts and not self.held:
            yield Line(_("No alert of it fired then."), is_stop=True)

    def verdict(self) -> str:
        """Say in one sentence why there was no incident; the first reason that holds."""
        if self.status != Status.DOWN:
            return self._verdict_when_not_down()
        if not self.thresholds:
            return _(
                "Nobody was paged, because no enabled threshold makes an alert of it"
                " when it is down."
            )
        waiting = [one for one in self.thresholds if self._waits(one)]
        if len(waiting) == len(self.thresholds):
            return _(
                "Nobody was paged yet, because it alerts only once it has been down for"
                " %(wait)s."
            ) % {"wait": duration(min(one.for_s for one in waiting))}
        if self.held:
            return _(
                "Nobody was paged yet, because a deploy window held its alert back."
            )
        return _(
            "Nobody was paged, because its alert had not been raised by then, or had"
            " been resolved by hand."
        )

    def _verdict_when_not_down(self) -> str:
        match self.status:
            case Status.PAUSED:
                return _("Nobody was paged, because it was paused.")
            case Status.MAINTENANCE:
                return _("Nobody was paged, because it was in maintenance.")
            case Status.UNKNOWN:
                return _("Nobody was paged, because the portal could not look at it.")
        if self.failure_count:
            return _("Nobody was paged yet: %(why)s") % {"why": self._unconfirmed()}
        if self.status == Status.PENDING:
            return _("Nobody was paged, because there was no result of it yet.")
        return _("Nobody was paged, because it was not down.")

    def _status(self) -> tuple[Status, datetime | None]:
        """Return the status then, and since when; unknown when nobody vouched for it."""
        interval = self.interval
        if interval is None:
            return Status.PENDING, None
        state = getattr(self.monitor, "state", None)
        if interval.ended_at is None and state is not None:
            shown = vouched(
                status=interval.status, fresh_until=state.fresh_until, now=self.at
            )
            if shown != interval.status:
                return shown, max(state.fresh_until, interval.started_at)
        return Status(interval.status), interval.started_at

    def _said(self) -> str:
        if self.since is None:
            return _("The portal did not watch it yet.")
        interval = self.interval
        words = {"since": clock(self.since, now=self.now)}
        cause = ""
        if interval is not None and interval.status == self.status:
            cause = retold(interval.message)
            if not cause and interval.reason:
                cause = reason_words(interval.reason)
        said = _SAID[self.status]() % words
        return f"{said}: {cause}" if cause else said

    def _failure_count(self) -> int:
        """Count the failures in a row, the newest at that moment; 0 for heartbeats."""
        if self.monitor.is_heartbeat:
            return 0
        wanted = min(self.monitor.failures_to_down + 1, _MAX_RESULTS)
        reach = max(
            timedelta(seconds=3 * wanted * self.monitor.interval_s), _LEAST_REACH_BACK
        )
        codes = (
            CheckResult.objects.filter(
                monitor_id=self.monitor.pk, at__lte=self.at, at__gt=self.at - reach
            )
            .order_by("-at")
            .values_list("code", flat=True)[:wanted]
        )
        # What was the portal's own fault says nothing about the target.
        return len(list(takewhile(bool, (one for one in codes if not is_ours(one)))))

    def _unconfirmed(self) -> str:
        return ngettext(
            "%(count)d failure in a row; it counts as down after %(wanted)d.",
            "%(count)d failures in a row; it counts as down after %(wanted)d.",
            self.failure_count,
        ) % {"count": self.failure_count, "wanted": self.monitor.failures_to_down}

    def _thresholds(self) -> Sequence[Threshold]:
        measure = Threshold.Measure.DOWN
        rows = Threshold.objects.filter(measure=measure, is_enabled=True)
        return (
            Scopes(rows.order_by("critical_priority", "for_s", "pk"))
            .for_monitor(
                monitor_id=self.monitor.pk,
                service_id=self.monitor.service_id,
                tags=self.monitor.tags,
            )
            .get(measure, ())
        )

    def _waits(self, threshold: Threshold) -> bool:
        """Whether it was down, and not for long enough."""
        if self.status != Status.DOWN or self.since is None:
            return False
        return self.at - self.since < timedelta(seconds=threshold.for_s)

    def _of_threshold(self, threshold: Threshold) -> str:
        words = {
            "name": threshold.name,
            "priority": Priority(threshold.critical_priority).short,
            "wait": duration(threshold.for_s),
        }
        if threshold.for_s:
            return (
                _("By the threshold “%(name)s”, down for %(wait)s is a %(priority)s.")
                % words
            )
        return _("By the threshold “%(name)s”, down is a %(priority)s.") % words


_SAID = {
    Status.PENDING: lambda: _("Waiting for its first result since %(since)s"),
    Status.UP: lambda: _("Up since %(since)s"),
    Status.DEGRADED: lambda: _("Degraded since %(since)s"),
    Status.DOWN: lambda: _("Down since %(since)s"),
    Status.MAINTENANCE: lambda: _("In maintenance since %(since)s"),
    Status.PAUSED: lambda: _("Paused since %(since)s"),
    Status.UNKNOWN: lambda: _("Unknown since %(since)s, since nobody could look"),
}
