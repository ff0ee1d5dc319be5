"""Monitors are up: so many successes in a row, each within a bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

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
from checklists.verifiers.saying import instant
from checklists.verifiers.watched import Watched, expectations, latest_results
from monitors.models import Monitor
from monitors.queries import shown_since, shown_status
from monitors.status import Status

_NOT_OBSERVED = {
    Status.PENDING: "pending",
    Status.UNKNOWN: "unobserved",
    Status.MAINTENANCE: "maintenance",
}
_NOT_UP = {
    Status.PAUSED: "paused",
    Status.DOWN: "down",
    Status.DEGRADED: "degraded",
}


def _look(subject: Subject, wanted: Parameters, now: datetime) -> Finding:
    found = list(_each(subject, wanted, now))
    if not found:
        what = {"service": subject.service_slug}
        return failed("none", what, service=subject.service_slug)
    return together("monitors", found, code="all_up")


def _each(subject: Subject, wanted: Parameters, now: datetime) -> Iterator[Finding]:
    rows = Monitor.objects.for_pages().defer("secret").prefetch_related("assertions")
    if not wanted["monitors"]:
        for monitor in rows.enabled().filter(service=subject.service_id).order_by("pk"):
            yield _judge(monitor, wanted, now)
        return
    named = {one.name: one for one in rows.filter(name__in=wanted["monitors"])}
    for name in wanted["monitors"]:
        if name in named:
            yield _judge(named[name], wanted, now)
        else:
            yield failed("missing", {"name": name}, name=name)


def _judge(monitor: Monitor, wanted: Parameters, now: datetime) -> Finding:
    what: dict[str, Any] = {
        "id": monitor.pk,
        "name": monitor.name,
        "kind": monitor.kind,
        "target": monitor.target,
        "interval_s": monitor.interval_s,
        "expectations": expectations(monitor),
    }
    name = monitor.name
    state = getattr(monitor, "state", None)
    status = shown_status(state, now) if monitor.is_enabled else Status.PAUSED
    since = {"name": name, "since_at": instant(shown_since(state, now))}
    if status in _NOT_OBSERVED:
        return unknown(_NOT_OBSERVED[status], what, **since)
    if status in _NOT_UP:
        return failed(_NOT_UP[status], what, **since)
    if state is not None and state.is_flapping:
        return failed("flapping", what, name=name)
    if 0 < wanted["max_interval_s"] < monitor.interval_s:
        bound = {"bound_s": wanted["max_interval_s"]}
        return failed(
            "too_rare", what, name=name, interval_s=monitor.interval_s, **bound
        )
    return _judge_results(monitor, wanted, what)


def _judge_results(
    monitor: Monitor, wanted: Parameters, what: Mapping[str, Any]
) -> Finding:
    count, bound = wanted["successes"], wanted["max_latency_ms"]
    results: list[Watched] = latest_results(monitor_id=monitor.pk, count=count)
    name = monitor.name
    if len(results) < count:
        return unknown("too_few", what, name=name, count=len(results), needed=count)
    bad = next((one for one in results if not one.is_passed), None)
    if bad is not None:
        return failed(
            "failed_lately", what, name=name, count=count, last_at=instant(bad.at)
        )
    slowest = max(one.latency_ms for one in results)
    if 0 < bound < slowest:
        return failed("slow", what, name=name, latency_ms=slowest, bound_ms=bound)
    return passed(
        "up",
        what,
        name=name,
        count=count,
        latency_ms=slowest,
        last_at=instant(results[0].at),
    )


VERIFIER = Verifier(
    name="monitor_up",
    label=_("Monitors are up"),
    help=_("Each is up, and its last checks succeeded within a bound."),
    parameters=(
        Parameter(
            "monitors",
            _("monitors"),
            "texts",
            default=[],
            help=_("By name. None: all that are enabled of the run's service."),
        ),
        Parameter(
            "successes",
            _("successes in a row"),
            "integer",
            default=3,
            minimum=1,
            maximum=100,
        ),
        Parameter(
            "max_latency_ms",
            _("at most so slow (ms)"),
            "integer",
            default=10_000,
            maximum=120_000,
            help=_("0: however slow."),
        ),
        Parameter(
            "max_interval_s",
            _("checked at least every (s)"),
            "integer",
            default=0,
            maximum=86_400,
            help=_("0: however rarely."),
        ),
    ),
    look=_look,
    phrases={
        "all_up": ngettext_lazy(
            "%(count)d monitor is up.", "All %(count)d monitors are up.", "count"
        ),
        "up": ngettext_lazy(
            "%(name)s is up: the last check succeeded, within %(latency_ms)s.",
            "%(name)s is up: the last %(count)d checks succeeded, the slowest within"
            " %(latency_ms)s.",
            "count",
        ),
        "none": _("The service %(service)s has no monitor. Add one that watches it."),
        "missing": _("There is no monitor called “%(name)s”."),
        "paused": _("%(name)s is paused."),
        "pending": _("%(name)s has not been checked yet."),
        "unobserved": _("Nobody has seen %(name)s since %(since_at)s."),
        "maintenance": _("%(name)s is in maintenance, which counts neither way."),
        "down": _("%(name)s is down since %(since_at)s."),
        "degraded": _("%(name)s is degraded since %(since_at)s: a threshold fires."),
        "flapping": _("%(name)s is flapping: it keeps changing."),
        "too_rare": _(
            "%(name)s is checked every %(interval_s)s, and every %(bound_s)s is wanted."
        ),
        "too_few": _("%(name)s has %(count)s of %(needed)s checks."),
        "failed_lately": _(
            "%(name)s failed at %(last_at)s, among its last %(count)s checks."
        ),
        "slow": _("%(name)s took %(latency_ms)s, and %(bound_ms)s is the bound."),
    },
)
